package dev.precis.alignment.reward;

/**
 * Two texts of which the first is preferred, as token ids with special tokens.
 *
 * @param margin target margin of the chosen text's reward; 0: none
 */
public record PairExample(int[] chosen, int[] rejected, double margin) {
  int tokens() {
    return chosen.length + rejected.length;
  }
}
