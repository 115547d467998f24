/**
 * Predicts the time of CUDA kernels from their launches, without a GPU: {@code scripts/gpu-model}.
 */
package dev.precis.tools.gpu;
