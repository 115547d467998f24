/**
 * Layers that the models are made of: {@link dev.precis.layers.Linear} with its biases and
 * adapters, the loading of its weights, and the parameters that training changes.
 */
package dev.precis.layers;
