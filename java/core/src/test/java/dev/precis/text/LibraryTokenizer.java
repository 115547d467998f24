package dev.precis.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.precis.io.NativeCache;
import java.net.URL;

/**
 * Hugging Face's tokenizers, the yardstick of our own engine. Only files that are known to be good
 * go in: the library ends the process where it meets something that it did not expect.
 */
final class LibraryTokenizer implements AutoCloseable {
  private static final TokenizersLibrary LIBRARY = load();

  private final long handle;

  LibraryTokenizer(String json) {
    handle = LIBRARY.createTokenizerFromString(json);
    LIBRARY.disableTruncation(handle);
    LIBRARY.disablePadding(handle);
  }

  private static TokenizersLibrary load() {
    String file = System.mapLibraryName("tokenizers");
    String platform = NativeCache.platform().replace("macos", "osx");
    URL url = TokenizersLibrary.class.getResource("/native/lib/" + platform + "/cpu/" + file);
    System.load(NativeCache.unpack(url, file).toString());
    return TokenizersLibrary.LIB;
  }

  int[] encode(String text, boolean addSpecialTokens) {
    long encoding = LIBRARY.encode(handle, text, addSpecialTokens);
    try {
      long[] ids = LIBRARY.getTokenIds(encoding);
      int[] narrow = new int[ids.length];
      for (int i = 0; i < ids.length; i++) {
        narrow[i] = Math.toIntExact(ids[i]);
      }
      return narrow;
    } finally {
      LIBRARY.deleteEncoding(encoding);
    }
  }

  String decode(int[] ids, boolean skipSpecialTokens) {
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      wide[i] = ids[i];
    }
    return LIBRARY.decode(handle, wide, skipSpecialTokens);
  }

  @Override
  public void close() {
    LIBRARY.deleteTokenizer(handle);
  }
}
