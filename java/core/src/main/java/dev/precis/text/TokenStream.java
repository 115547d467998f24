package dev.precis.text;

import java.util.Arrays;
import java.util.function.Function;

/**
 * Decodes ids as they arrive. Each piece consists of complete code points, and all pieces together
 * are the decoded text of all ids: a byte-level token that ends inside a character is held back
 * until the character is complete. Not thread-safe.
 *
 * <p>Only a short window of the last ids is decoded again for each new one, so that the cost does
 * not grow with the length of the text. The window always starts with the ids of the last piece,
 * because the first token of a decoded sequence loses its leading space.
 */
public final class TokenStream {
  private static final char REPLACEMENT = '\uFFFD';

  private final Function<int[], String> decoder;
  private int[] window = new int[16];
  private int size; // ids in the window
  private int given; // the window's ids whose text has been returned
  private String givenText = "";

  private final CleanUp cleanUp; // null: the text stays as it is decoded

  /**
   * Makes a stream whose text is what the decoder makes of all ids.
   *
   * @param cleanUp whether the spaces before punctuation go
   */
  TokenStream(Function<int[], String> decoder, boolean cleanUp) {
    this.decoder = decoder;
    this.cleanUp = cleanUp ? new CleanUp() : null;
  }

  /**
   * Takes the next id.
   *
   * @return the text that has become certain; empty while a character is incomplete, and for
   *     special tokens that are skipped
   */
  public String append(int id) {
    if (size == window.length) {
      window = Arrays.copyOf(window, 2 * size);
    }
    window[size++] = id;
    String text = decode();
    if (text.length() <= givenText.length() || text.charAt(text.length() - 1) == REPLACEMENT) {
      return "";
    }
    String piece = text.substring(givenText.length());
    System.arraycopy(window, given, window, 0, size - given);
    size -= given;
    given = size;
    givenText = decode();
    return cleanUp == null ? piece : cleanUp.append(piece);
  }

  /**
   * Returns the text that {@link #append} would add for an id, before any clean-up; the stream
   * stays as it is.
   */
  public String preview(int id) {
    int[] ids = Arrays.copyOf(window, size + 1);
    ids[size] = id;
    String text = decoder.apply(ids);
    boolean incomplete =
        text.length() <= givenText.length() || text.charAt(text.length() - 1) == REPLACEMENT;
    return incomplete ? "" : text.substring(givenText.length());
  }

  /**
   * Ends the text and makes the stream ready for another one.
   *
   * @return what was still held back: nothing, or an incomplete character as U+FFFD
   */
  public String finish() {
    String rest = decode().substring(givenText.length());
    size = 0;
    given = 0;
    givenText = "";
    return cleanUp == null ? rest : cleanUp.append(rest) + cleanUp.finish();
  }

  private String decode() {
    return decoder.apply(Arrays.copyOf(window, size));
  }
}
