package dev.precis.tensor;

import dev.precis.io.InvalidInputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A batch of sequences of unequal length, one behind the other without padding.
 *
 * @param ids (tokens) int32
 * @param offsets (sequences + 1) int32, from 0
 * @param longest tokens of the longest sequence
 */
public record Ragged(Tensor ids, Tensor offsets, int sequences, int tokens, int longest) {
  /**
   * Copies token ids to native memory.
   *
   * @throws InvalidInputException where a sequence is empty or an id is outside the vocabulary
   */
  public static Ragged of(List<int[]> sequences, int vocabSize, Workspace workspace) {
    check(sequences, vocabSize);
    long tokens = 0;
    int longest = 0;
    for (int[] sequence : sequences) {
      tokens += sequence.length;
      longest = Math.max(longest, sequence.length);
    }
    Tensor ids = workspace.tensor(DType.INT32, Math.toIntExact(tokens));
    Tensor offsets = workspace.tensor(DType.INT32, sequences.size() + 1);
    int at = 0;
    for (int i = 0; i < sequences.size(); i++) {
      int[] sequence = sequences.get(i);
      offsets.memory().setAtIndex(ValueLayout.JAVA_INT, i, at);
      MemorySegment.copy(sequence, 0, ids.memory(), ValueLayout.JAVA_INT, at * 4L, sequence.length);
      at += sequence.length;
    }
    offsets.memory().setAtIndex(ValueLayout.JAVA_INT, sequences.size(), at);
    return new Ragged(ids, offsets, sequences.size(), at, longest);
  }

  /**
   * Makes sure that token ids can be read.
   *
   * @throws InvalidInputException where a sequence is empty or an id is outside the vocabulary
   */
  public static void check(List<int[]> sequences, int vocabSize) {
    for (int i = 0; i < sequences.size(); i++) {
      int[] sequence = sequences.get(i);
      if (sequence.length == 0) {
        throw new InvalidInputException("Sequence " + i + " has no tokens.");
      }
      for (int id : sequence) {
        if (id < 0 || id >= vocabSize) {
          throw new InvalidInputException(
              "Sequence "
                  + i
                  + " has the token id "
                  + id
                  + ", but the model's vocabulary has "
                  + vocabSize
                  + ": the tokenizer belongs to another model.");
        }
      }
    }
  }

  /** Returns the row of each sequence's first token: (sequences) int32. */
  public Tensor firstTokens(Workspace workspace) {
    Tensor first = workspace.tensor(DType.INT32, sequences);
    for (int s = 0; s < sequences; s++) {
      first.memory().setAtIndex(ValueLayout.JAVA_INT, s, begin(s));
    }
    return first;
  }

  /**
   * Returns the same tokens, with all sequences of one source as one sequence: several targets of a
   * source attend to it in one batch.
   *
   * @param sources how many sources there are; each has as many of the sequences, in order
   */
  public Ragged grouped(int sources, Workspace workspace) {
    if (sources == sequences) {
      return this;
    }
    if (sources < 1 || sequences % sources != 0) {
      throw new IllegalArgumentException(
          sequences + " targets are not a multiple of " + sources + " sources");
    }
    int each = sequences / sources;
    Tensor groups = workspace.tensor(DType.INT32, sources + 1);
    int most = 0;
    for (int i = 0; i <= sources; i++) {
      groups.memory().setAtIndex(ValueLayout.JAVA_INT, i, begin(i * each));
      most = Math.max(most, i == 0 ? 0 : begin(i * each) - begin((i - 1) * each));
    }
    return new Ragged(ids, groups, sources, tokens, most);
  }

  /** Returns where sequence i begins. */
  public int begin(int i) {
    return offsets.address().getAtIndex(ValueLayout.JAVA_INT, i); // no operation writes it
  }

  /** Returns the number of tokens of sequence i. */
  public int length(int i) {
    return begin(i + 1) - begin(i);
  }
}
