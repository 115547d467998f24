/**
 * The entry points: {@link dev.precis.T5} generates text, {@link dev.precis.Classifier} scores it.
 * Both load a Hugging Face folder and may be called from any thread.
 */
package dev.precis;
