/**
 * Tensors: views of native memory with a type and dimensions, the memory of a step ({@link
 * dev.precis.tensor.Workspace}), and batches of sequences without padding ({@link
 * dev.precis.tensor.Ragged}).
 */
package dev.precis.tensor;
