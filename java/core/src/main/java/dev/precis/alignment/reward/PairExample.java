package dev.precis.alignment.reward;

/**
 * Two texts of which the first is preferred, as token ids with their special tokens.
 *
 * @param margin by which the chosen one's reward should be the larger; 0: however little
 */
public record PairExample(int[] chosen, int[] rejected, double margin) {
  int tokens() {
    return chosen.length + rejected.length;
  }
}
