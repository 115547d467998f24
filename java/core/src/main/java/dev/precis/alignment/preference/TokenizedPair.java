package dev.precis.alignment.preference;

/**
 * A prompt and two completions: a pair's chosen and rejected one, or the completion with feedback
 * and one of another prompt.
 *
 * @param index index among all items and in the reference's scores
 * @param desirable feedback on the first completion; true for pairs
 */
record TokenizedPair(int index, int[] source, int[][] answers, boolean desirable) {
  int tokens() {
    return source.length + answerTokens();
  }

  int answerTokens() {
    return answers[0].length + answers[1].length;
  }
}
