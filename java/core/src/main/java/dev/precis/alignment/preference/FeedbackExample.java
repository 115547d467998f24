package dev.precis.alignment.preference;

/** A prompt and an answer to it as token ids, end tokens included, and what people said of it. */
public record FeedbackExample(int[] source, int[] completion, boolean desirable) {}
