package dev.precis.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.precis.io.LibraryLoader;
import dev.precis.io.NativeCache;
import java.net.URL;

/**
 * Loads the native tokenizers out of their jar, once in a process.
 *
 * <p>The jar's own loader first asks the CUDA run time for devices, downloads another build of the
 * library where it finds one, and reports its use over the network. This one takes the build for
 * the processor: a third of the time, and no network.
 */
final class TokenizerLibrary {
  private TokenizerLibrary() {}

  /** Returns the library; the first call loads it. */
  static TokenizersLibrary get() {
    return Holder.LIBRARY;
  }

  private static final class Holder {
    static final TokenizersLibrary LIBRARY = load();

    private static TokenizersLibrary load() {
      String file = System.mapLibraryName("tokenizers");
      String platform = NativeCache.platform().replace("macos", "osx");
      URL url = TokenizersLibrary.class.getResource("/native/lib/" + platform + "/cpu/" + file);
      if (url == null) {
        throw new UnsatisfiedLinkError("There are no native tokenizers for " + platform);
      }
      LibraryLoader.load(NativeCache.unpack(url, file));
      return TokenizersLibrary.LIB;
    }
  }
}
