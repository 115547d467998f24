package dev.precis.review.comparison;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;

/**
 * The ids by which a browser names its tasks. They are encrypted, so that nobody sees which task is
 * a hidden repeat or a gold pair, and hold a keyed hash of annotator and pair, so that an id is
 * valid for one annotator only, and not for another pair that has taken its place in the list. They
 * also say which text stands first, so that an answer from a page that was open before a reward
 * model changed the order is about the places that the annotator saw.
 */
final class TaskIds {
  private static final int TAG = 11;
  private static final int BLOCK = 16;
  private static final int REPEAT = 1;
  private static final int SWAPPED = 2;

  private final ProjectSecret secret;
  private final SecretKeySpec key;
  private final List<ComparisonPair> pairs;

  TaskIds(ProjectSecret secret, List<ComparisonPair> pairs) {
    this.secret = secret;
    this.pairs = pairs;
    key = new SecretKeySpec(secret.derive(BLOCK, "tasks"), "AES");
  }

  /** Names a task: the index of the pair, and whether it is a repeat. */
  record Task(int pair, boolean repeat) {}

  /** A task as it is shown; {@code swapped} if text b stands first. */
  record Shown(Task task, boolean swapped) {
    private byte flags() {
      return (byte) ((task.repeat() ? REPEAT : 0) | (swapped ? SWAPPED : 0));
    }
  }

  String id(String annotator, Shown shown) {
    ByteBuffer block = ByteBuffer.allocate(BLOCK);
    block.putInt(shown.task().pair()).put(shown.flags()).put(tag(annotator, shown));
    return HexFormat.of().formatHex(crypt(Cipher.ENCRYPT_MODE, block.array()));
  }

  /** Returns the task of an id; null if this annotator has none of that id. */
  Shown task(String annotator, String id) {
    if (!id.matches("[0-9a-f]{%d}".formatted(2 * BLOCK))) {
      return null;
    }
    ByteBuffer block = ByteBuffer.wrap(crypt(Cipher.DECRYPT_MODE, HexFormat.of().parseHex(id)));
    int pair = block.getInt();
    byte flags = block.get();
    Shown shown = new Shown(new Task(pair, (flags & REPEAT) != 0), (flags & SWAPPED) != 0);
    byte[] tag = new byte[TAG];
    block.get(tag);
    boolean known = pair >= 0 && pair < pairs.size() && flags == shown.flags();
    return known && Arrays.equals(tag, tag(annotator, shown)) ? shown : null;
  }

  private byte[] tag(String annotator, Shown shown) {
    ComparisonPair pair = pairs.get(shown.task().pair());
    return secret.derive(
        TAG,
        "task",
        annotator,
        pair.item().id(),
        pair.a() + "," + pair.b(),
        Byte.toString(shown.flags()));
  }

  private byte[] crypt(int mode, byte[] block) {
    try {
      // One block of its own, with a keyed hash inside: the mode without chaining is the right one.
      Cipher cipher = Cipher.getInstance("AES/ECB/NoPadding");
      cipher.init(mode, key);
      return cipher.doFinal(block);
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every Java platform has AES", e);
    }
  }
}
