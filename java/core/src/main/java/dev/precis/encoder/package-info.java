/** Encoder models that classify text: RoBERTa (Liu et al. 2019) with a classification head. */
package dev.precis.encoder;
