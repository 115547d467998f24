package dev.precis.alignment.reward;

import java.io.Serializable;

/**
 * Two texts of which the first is preferred, as token ids with special tokens.
 *
 * @param margin target margin of the chosen text's reward; 0: none
 */
public record PairExample(int[] chosen, int[] rejected, double margin) implements Serializable {
  int tokens() {
    return chosen.length + rejected.length;
  }
}
