/**
 * Weights and configurations on disk: safetensors (mapped, sharded), PyTorch {@code .bin} through a
 * restricted unpickler, PEFT adapters, JSON configurations.
 *
 * <p>Everything read here came from somewhere else and is checked before it is used. A file that
 * lies or is cut short gets an {@link dev.precis.io.InvalidInputException}; a disk that fails, an
 * {@link java.io.UncheckedIOException}.
 */
package dev.precis.checkpoint;
