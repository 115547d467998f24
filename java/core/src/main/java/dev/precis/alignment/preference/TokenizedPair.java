package dev.precis.alignment.preference;

/**
 * A prompt and answers to it, in one order for all: a pair's chosen and rejected one; or the answer
 * that was judged, and one to another prompt.
 *
 * @param index its number among all, which the reference's scores have too
 * @param good what was said of a judged answer
 */
record TokenizedPair(int index, int[] source, int[][] answers, boolean desirable) {
  int tokens() {
    return source.length + answerTokens();
  }

  int answerTokens() {
    return answers[0].length + answers[1].length;
  }
}
