package dev.precis.tools;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Learns a RoBERTa tokenizer from texts: byte-level BPE (Sennrich et al. 2016; Radford et al.
 * 2019).
 *
 * <p>Texts are cut into words, each with the space before it, and words into bytes. Then the pair
 * of neighbours that is there most often, over all words, becomes a token, again and again, until
 * there are as many tokens as wanted or no pair is there twice. Among equals the first in the order
 * of their characters is taken. Any text can be written with the 256 bytes, so that none has an
 * unknown token.
 *
 * <p>The same texts give the same bytes on every machine, whatever their order. Belongs to one
 * thread.
 */
public final class BpeTrainer {
  /** Pattern at which GPT-2 splits texts. */
  private static final Pattern WORD =
      Pattern.compile(
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          Pattern.UNICODE_CHARACTER_CLASS);

  private static final List<String> FIRST = List.of("<s>", "<pad>", "</s>", "<unk>");
  private static final String LAST = "<mask>";
  private static final int LONGEST_WORD = 256;
  private static final int BYTES = 256;

  private final int vocabularySize;
  private final Map<String, Long> words = new TreeMap<>();

  /** Two tokens that stand side by side. */
  private record Pair(String left, String right) implements Comparable<Pair> {
    @Override
    public int compareTo(Pair other) {
      int byLeft = left.compareTo(other.left);
      return byLeft != 0 ? byLeft : right.compareTo(other.right);
    }
  }

  /** A word as it is cut so far. */
  private static final class Word {
    final long count;
    String[] tokens;

    Word(long count, String[] tokens) {
      this.count = count;
      this.tokens = tokens;
    }
  }

  /**
   * @param vocabularySize how many tokens at most, five special ones and 256 bytes included
   * @throws InvalidInputException where those do not fit
   */
  public BpeTrainer(int vocabularySize) {
    int least = FIRST.size() + 1 + BYTES;
    if (vocabularySize < least) {
      throw new InvalidInputException(
          "A byte-level vocabulary of %d tokens is too small: it needs at least %d"
              .formatted(vocabularySize, least));
    }
    this.vocabularySize = vocabularySize;
  }

  /** Takes the words of a text into account. */
  public void add(String text) {
    Matcher matcher = WORD.matcher(text);
    while (matcher.find()) {
      if (matcher.end() - matcher.start() <= LONGEST_WORD) {
        words.merge(matcher.group(), 1L, Long::sum);
      }
    }
  }

  /**
   * Trains and writes {@code vocab.json} and {@code merges.txt}, which {@link Tokenizer#load} and
   * transformers read.
   *
   * @return how many tokens there are
   * @throws UncheckedIOException where writing fails
   */
  public int write(Path folder) {
    List<Pair> merges = merges();
    List<String> vocabulary = new ArrayList<>(FIRST);
    for (int b = 0; b < BYTES; b++) {
      vocabulary.add(Character.toString(CHARACTERS[b]));
    }
    StringBuilder lines = new StringBuilder("#version: 0.2\n");
    for (Pair merge : merges) {
      vocabulary.add(merge.left + merge.right);
      lines.append(merge.left).append(' ').append(merge.right).append('\n');
    }
    vocabulary.add(LAST);
    byte[] json =
        Json.bytes(
            out -> {
              out.writeStartObject();
              for (int id = 0; id < vocabulary.size(); id++) {
                out.writeNumberProperty(vocabulary.get(id), id);
              }
              out.writeEndObject();
            });
    write(folder.resolve("vocab.json"), json);
    write(folder.resolve("merges.txt"), lines.toString().getBytes(StandardCharsets.UTF_8));
    return vocabulary.size();
  }

  private static void write(Path file, byte[] bytes) {
    AtomicFile.write(
        file,
        channel -> {
          for (ByteBuffer rest = ByteBuffer.wrap(bytes); rest.hasRemaining(); ) {
            channel.write(rest);
          }
        });
  }

  private List<Pair> merges() {
    List<Word> all = new ArrayList<>();
    words.forEach((word, count) -> all.add(new Word(count, bytes(word))));
    Map<Pair, Long> counts = new HashMap<>();
    all.forEach(word -> count(word, 1, counts));
    int wanted = vocabularySize - FIRST.size() - 1 - BYTES;
    List<Pair> merges = new ArrayList<>();
    while (merges.size() < wanted) {
      Pair best = best(counts);
      if (best == null) {
        break;
      }
      merges.add(best);
      for (Word word : all) {
        if (has(word, best)) {
          count(word, -1, counts);
          merge(word, best);
          count(word, 1, counts);
        }
      }
    }
    return merges;
  }

  /** The pair that is there most often, at least twice; null where there is none. */
  private static Pair best(Map<Pair, Long> counts) {
    Pair best = null;
    long most = 1;
    for (Map.Entry<Pair, Long> each : counts.entrySet()) {
      long count = each.getValue();
      if (count > most || count == most && best != null && each.getKey().compareTo(best) < 0) {
        best = each.getKey();
        most = count;
      }
    }
    return best;
  }

  private static void count(Word word, int sign, Map<Pair, Long> counts) {
    for (int i = 0; i + 1 < word.tokens.length; i++) {
      Pair pair = new Pair(word.tokens[i], word.tokens[i + 1]);
      counts.merge(pair, sign * word.count, (a, b) -> a + b == 0 ? null : a + b);
    }
  }

  private static boolean has(Word word, Pair pair) {
    for (int i = 0; i + 1 < word.tokens.length; i++) {
      if (word.tokens[i].equals(pair.left) && word.tokens[i + 1].equals(pair.right)) {
        return true;
      }
    }
    return false;
  }

  private static void merge(Word word, Pair pair) {
    String[] merged = new String[word.tokens.length];
    int n = 0;
    for (int i = 0; i < word.tokens.length; i++) {
      boolean here =
          i + 1 < word.tokens.length
              && word.tokens[i].equals(pair.left)
              && word.tokens[i + 1].equals(pair.right);
      merged[n++] = here ? pair.left + pair.right : word.tokens[i];
      i += here ? 1 : 0;
    }
    word.tokens = Arrays.copyOf(merged, n);
  }

  /** The character that stands for each byte: itself where it can be seen, else one from 256 on. */
  private static final char[] CHARACTERS = characters();

  private static char[] characters() {
    char[] all = new char[BYTES];
    int next = BYTES;
    for (int b = 0; b < BYTES; b++) {
      boolean visible = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      all[b] = (char) (visible ? b : next++);
    }
    return all;
  }

  private static String[] bytes(String word) {
    byte[] utf8 = word.getBytes(StandardCharsets.UTF_8);
    String[] tokens = new String[utf8.length];
    for (int i = 0; i < utf8.length; i++) {
      tokens[i] = Character.toString(CHARACTERS[utf8[i] & 0xFF]);
    }
    return tokens;
  }
}
