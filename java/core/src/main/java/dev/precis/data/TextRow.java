package dev.precis.data;

/**
 * A text to evaluate.
 *
 * @param id as in the file; else the line
 * @param text it may be empty: a model may have written nothing
 * @param prompt what the text answers, where the row has it; else null
 * @param where file and line, for the sentences of errors
 */
public record TextRow(String id, String text, String prompt, String where) {}
