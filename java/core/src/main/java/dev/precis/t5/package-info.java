/**
 * T5 (Raffel et al. 2020): its configuration and weights, and the model for inference ({@link
 * dev.precis.t5.T5Model}) and for training ({@link dev.precis.t5.T5Training}), which share one
 * implementation of the layers.
 */
package dev.precis.t5;
