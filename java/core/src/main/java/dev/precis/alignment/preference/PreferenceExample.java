package dev.precis.alignment.preference;

/** A prompt and two completions as token ids, end tokens included; people prefer the chosen one. */
public record PreferenceExample(int[] source, int[] chosen, int[] rejected) {}
