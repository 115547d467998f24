/**
 * Encoder models that classify texts and pairs: RoBERTa, BERT, DistilBERT and ELECTRA with a head.
 */
package dev.precis.encoder;
