/**
 * Text in and out of a model: tokenizers (T5's SentencePiece Unigram, RoBERTa's byte-level BPE) and
 * prompts (zero-, one- and few-shot).
 */
package dev.precis.text;
