/** Readers of Parquet and Zstandard, found as services of {@code dev.precis.data}. */
package dev.precis.data.parquet;
