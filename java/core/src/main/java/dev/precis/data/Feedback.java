package dev.precis.data;

/**
 * An answer to a prompt that people called good or bad by itself.
 *
 * @param id as in the file; else the line
 * @param text a dialogue, which a template is applied to, or a prompt that is used as it is
 * @param raw whether the text is a prompt
 * @param completion the answer
 * @param good what people said of it
 * @param where file and line, for the sentences of errors
 */
public record Feedback(
    String id, String text, boolean raw, String completion, boolean good, String where) {}
