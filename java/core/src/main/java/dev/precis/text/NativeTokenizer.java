package dev.precis.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Hugging Face's tokenizers, by the native methods of DJL's jar.
 *
 * <p>The engine's tokenizer is immutable after construction and safe for concurrent reading; the
 * lock only keeps {@link #close} from freeing it under a call.
 */
final class NativeTokenizer implements Tokenizer {
  private final TokenizersLibrary library;
  private final Vocabulary vocabulary;
  private final SpecialTokens specialTokens;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final int prefixLength; // special tokens before the text
  private final int[] suffix; // special tokens after the text
  private long handle;

  /** The special tokens' ids, -1 for none. */
  record SpecialTokens(int pad, int eos, int unk) {}

  /**
   * Takes over an engine's tokenizer.
   *
   * @param handle from {@link #create}; freed if the constructor fails
   * @param where its file, for the errors' sentences
   */
  NativeTokenizer(long handle, Vocabulary vocabulary, SpecialTokens specialTokens, String where) {
    this.library = TokenizerLibrary.get();
    this.handle = handle;
    this.vocabulary = vocabulary;
    this.specialTokens = specialTokens;
    int[] bare = encode("a", false);
    int[] whole = encode("a", true);
    int start = 0;
    while (start + bare.length < whole.length
        && !Arrays.equals(whole, start, start + bare.length, bare, 0, bare.length)) {
      start++;
    }
    prefixLength = start;
    suffix = Arrays.copyOfRange(whole, start + bare.length, whole.length);
    for (int id : whole) {
      if (id >= vocabulary.size()) {
        close();
        throw new InvalidInputException(
            where + ": its post_processor adds the id " + id + ", which no token has");
      }
    }
  }

  /**
   * Builds the engine's tokenizer, which a constructor takes over.
   *
   * @param json a tokenizer.json whose parts {@link TokenizerJson} has checked
   * @param where its file, for the errors' sentences
   */
  static long create(String json, String where) {
    TokenizersLibrary library = TokenizerLibrary.get();
    long handle;
    try {
      handle = library.createTokenizerFromString(json);
    } catch (RuntimeException e) {
      throw new InvalidInputException(where + " is no usable tokenizer: " + e.getMessage(), e);
    }
    library.disableTruncation(handle); // files may cut at 512 without a word
    library.disablePadding(handle);
    return handle;
  }

  @Override
  public int[] encode(String text, boolean addSpecialTokens) {
    checkSurrogates(text);
    lock.readLock().lock();
    try {
      long encoding = library.encode(open(), text, addSpecialTokens);
      try {
        long[] ids = library.getTokenIds(encoding);
        int[] narrow = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
          narrow[i] = Math.toIntExact(ids[i]);
        }
        return narrow;
      } finally {
        library.deleteEncoding(encoding);
      }
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public int[] encode(String text, int maxLength) {
    if (maxLength < prefixLength + suffix.length) {
      throw new IllegalArgumentException(
          "A length of at most %d has no room for the %d special tokens"
              .formatted(maxLength, prefixLength + suffix.length));
    }
    int[] ids = encode(text, true);
    if (ids.length <= maxLength) {
      return ids;
    }
    int[] cut = Arrays.copyOf(ids, maxLength);
    System.arraycopy(suffix, 0, cut, maxLength - suffix.length, suffix.length);
    return cut;
  }

  @Override
  public String decode(int[] ids, boolean skipSpecialTokens) {
    long[] known = new long[ids.length];
    int count = 0;
    for (int id : ids) {
      if (id < 0) {
        throw new IllegalArgumentException("Token ids are not negative, but one is " + id);
      }
      if (id < vocabulary.size()) {
        known[count++] = id;
      }
    }
    lock.readLock().lock();
    try {
      return library.decode(open(), Arrays.copyOf(known, count), skipSpecialTokens);
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public int padId() {
    return specialTokens.pad;
  }

  @Override
  public int eosId() {
    return specialTokens.eos;
  }

  @Override
  public int unkId() {
    return specialTokens.unk;
  }

  @Override
  public int vocabularySize() {
    return vocabulary.size();
  }

  @Override
  public int tokenToId(String token) {
    return vocabulary.id(token);
  }

  @Override
  public String idToToken(int id) {
    return vocabulary.token(id);
  }

  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (handle != 0) {
        library.deleteTokenizer(handle);
        handle = 0;
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  /** Returns the handle, which is valid as long as the read lock is held. */
  private long open() {
    if (handle == 0) {
      throw new IllegalStateException("The tokenizer is closed");
    }
    return handle;
  }

  /** Refuses half a surrogate pair: it has no UTF-8, and no token can stand for it. */
  private static void checkSurrogates(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (!Character.isHighSurrogate(text.charAt(i))
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(i + 1))) {
          throw new InvalidInputException(
              "The text has an unpaired surrogate (\\u%04x) at character %d; it was cut inside one"
                  .formatted((int) text.charAt(i), i));
        }
        i++;
      }
    }
  }
}
