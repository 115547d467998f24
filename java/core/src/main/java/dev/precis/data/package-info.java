/** Dialogues in (JSONL, JSON, CSV, Parquet, plain text) and results out (JSONL, all or nothing). */
package dev.precis.data;
