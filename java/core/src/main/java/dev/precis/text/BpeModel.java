package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Byte-pair encoding (Sennrich et al. 2016): a text starts as single characters, and of all
 * neighbours that may merge, those of the earliest merge are merged first, from left to right.
 */
final class BpeModel implements SubwordModel {
  /** A merge by the tokens' texts. */
  record Merge(String left, String right) {}

  private final LongIntMap characters; // code point -> id
  private final LongIntMap ranks; // (left id << 32 | right id) -> rank
  private final int[] merged; // by rank: the id of both together
  private final Map<String, Integer> ids;
  private final int unknown; // -1: unknown characters vanish
  private final boolean fuseUnknown;
  private final boolean ignoreMerges;
  private final int[] bytes; // by byte: the id of <0xNN>, or -1; null without byte fallback

  /** Settings of a model besides its vocabulary. */
  record Options(
      int unknown, boolean fuseUnknown, boolean byteFallback, boolean ignoreMerges, String where) {}

  /**
   * Builds the model.
   *
   * @throws InvalidInputException if a merge's tokens are not in the vocabulary
   */
  BpeModel(Map<String, Integer> ids, List<Merge> merges, Options options) {
    this.ids = ids;
    characters = new LongIntMap(1024);
    ids.forEach(
        (token, id) -> {
          if (!token.isEmpty() && token.codePointCount(0, token.length()) == 1) {
            characters.put(token.codePointAt(0), id);
          }
        });
    ranks = new LongIntMap(merges.size());
    merged = new int[merges.size()];
    for (int rank = 0; rank < merged.length; rank++) {
      Merge merge = merges.get(rank);
      long left = id(merge.left, rank, options.where);
      long right = id(merge.right, rank, options.where);
      merged[rank] = id(merge.left + merge.right, rank, options.where);
      ranks.put(left << 32 | right, rank);
    }
    unknown = options.unknown;
    fuseUnknown = options.fuseUnknown;
    ignoreMerges = options.ignoreMerges;
    bytes = options.byteFallback ? byteTokens(ids) : null;
  }

  private int id(String token, int rank, String where) {
    Integer id = ids.get(token);
    if (id == null) {
      throw new InvalidInputException(
          "%s: merge %d needs the token \"%s\", which the vocabulary lacks; export the tokenizer again"
              .formatted(where, rank + 1, shortened(token)));
    }
    return id;
  }

  private static String shortened(String token) {
    return token.length() <= 60 ? token : token.substring(0, 60) + "...";
  }

  /** Returns the ids of the tokens {@code <0x00>} to {@code <0xFF>}, -1 for those that lack. */
  static int[] byteTokens(Map<String, Integer> ids) {
    int[] bytes = new int[256];
    for (int b = 0; b < bytes.length; b++) {
      bytes[b] = ids.getOrDefault("<0x%02X>".formatted(b), -1);
    }
    return bytes;
  }

  static boolean haveTokens(byte[] utf8, int[] tokens) {
    for (byte b : utf8) {
      if (tokens[b & 0xFF] < 0) {
        return false;
      }
    }
    return true;
  }

  @Override
  public void encode(String text, IdList out) {
    Integer whole = ignoreMerges ? ids.get(text) : null;
    if (whole != null) {
      out.add(whole);
      return;
    }
    IdList symbols = symbols(text);
    if (symbols.size() == 1) {
      out.add(symbols.get(0));
    } else if (symbols.size() > 1) {
      merge(symbols.toArray(), out);
    }
  }

  /** Returns the ids of the single characters. */
  private IdList symbols(String text) {
    IdList symbols = new IdList();
    boolean pending = false; // an unknown token that neighbours may still join
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      i += Character.charCount(c);
      int id = characters.get(c);
      if (id >= 0) {
        if (pending) {
          symbols.add(unknown);
          pending = false;
        }
        symbols.add(id);
        continue;
      }
      if (bytes != null) {
        byte[] utf8 = Character.toString(c).getBytes(StandardCharsets.UTF_8);
        if (haveTokens(utf8, bytes)) {
          // A pending unknown token comes after the bytes, as in the published implementation.
          for (byte b : utf8) {
            symbols.add(bytes[b & 0xFF]);
          }
          continue;
        }
      }
      if (unknown >= 0) {
        if (pending && !fuseUnknown) {
          symbols.add(unknown);
        }
        pending = true;
      }
    }
    if (pending) {
      symbols.add(unknown);
    }
    return symbols;
  }

  /** Merges symbols, a linked list of ids, in the order of the queue. */
  private void merge(int[] ids, IdList out) {
    int count = ids.length;
    int[] next = new int[count];
    int[] previous = new int[count];
    MergeQueue queue = new MergeQueue(count);
    for (int i = 0; i < count; i++) {
      next[i] = i + 1 < count ? i + 1 : -1;
      previous[i] = i - 1;
      if (i + 1 < count) {
        queue.offer(rank(ids[i], ids[i + 1]), i);
      }
    }
    boolean[] gone = new boolean[count];
    while (!queue.isEmpty()) {
      long head = queue.poll();
      int at = (int) head;
      int rank = (int) (head >>> 32);
      int right = next[at];
      if (gone[at] || right < 0) {
        continue;
      }
      // The pair may have changed since; only the outcome has to be the same.
      int present = rank(ids[at], ids[right]);
      if (present < 0 || merged[present] != merged[rank]) {
        continue;
      }
      ids[at] = merged[rank];
      gone[right] = true;
      next[at] = next[right];
      if (next[at] >= 0) {
        previous[next[at]] = at;
        queue.offer(rank(ids[at], ids[next[at]]), at);
      }
      if (previous[at] >= 0) {
        queue.offer(rank(ids[previous[at]], ids[at]), previous[at]);
      }
    }
    for (int i = 0; i < count; i++) {
      if (!gone[i]) {
        out.add(ids[i]);
      }
    }
  }

  private int rank(int left, int right) {
    return ranks.get((long) left << 32 | right);
  }

  /** Merges that wait, the lowest rank first, then the leftmost: a binary heap. */
  private static final class MergeQueue {
    private long[] heap; // rank << 32 | position
    private int size;

    MergeQueue(int expected) {
      heap = new long[Math.max(8, expected)];
    }

    boolean isEmpty() {
      return size == 0;
    }

    void offer(int rank, int position) {
      if (rank < 0) {
        return;
      }
      if (size == heap.length) {
        heap = Arrays.copyOf(heap, 2 * size);
      }
      long entry = (long) rank << 32 | position;
      int at = size++;
      while (at > 0 && heap[at - 1 >>> 1] > entry) {
        heap[at] = heap[at - 1 >>> 1];
        at = at - 1 >>> 1;
      }
      heap[at] = entry;
    }

    long poll() {
      long least = heap[0];
      long entry = heap[--size];
      int at = 0;
      while (2 * at + 1 < size) {
        int child = 2 * at + 1;
        if (child + 1 < size && heap[child + 1] < heap[child]) {
          child++;
        }
        if (heap[child] >= entry) {
          break;
        }
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = entry;
      return least;
    }
  }
}
