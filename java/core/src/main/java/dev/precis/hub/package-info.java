/**
 * Models and data sets from the Hugging Face hub: its HTTP API, and the cache on disk that Python's
 * {@code huggingface_hub} shares.
 */
package dev.precis.hub;
