package dev.precis.alignment.preference;

/**
 * A prompt and a completion as token ids, end tokens included, and whether people found it
 * desirable.
 */
public record FeedbackExample(int[] source, int[] completion, boolean desirable) {}
