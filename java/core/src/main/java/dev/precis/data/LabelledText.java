package dev.precis.data;

/**
 * A text and what it is.
 *
 * @param id as in the file; else the line
 * @param label a name
 * @param where file and line, for the sentences of errors
 */
public record LabelledText(String id, String text, String label, String where) {}
