/**
 * Trains tokenizers: T5's SentencePiece Unigram and RoBERTa's byte-level BPE. Apart from the
 * engine, because a program that runs or fine-tunes a model never needs to make a vocabulary.
 */
package dev.precis.tools;
