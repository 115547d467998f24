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
 * valid for one annotator only, and not for another pair that has taken its place in the list.
 */
final class TaskIds {
  private static final int TAG = 11;
  private static final int BLOCK = 16;

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

  String id(String annotator, Task task) {
    ByteBuffer block = ByteBuffer.allocate(BLOCK);
    block.putInt(task.pair()).put((byte) (task.repeat() ? 1 : 0)).put(tag(annotator, task));
    return HexFormat.of().formatHex(crypt(Cipher.ENCRYPT_MODE, block.array()));
  }

  /** Returns the task of an id; null if this annotator has none of that id. */
  Task task(String annotator, String id) {
    if (!id.matches("[0-9a-f]{%d}".formatted(2 * BLOCK))) {
      return null;
    }
    ByteBuffer block = ByteBuffer.wrap(crypt(Cipher.DECRYPT_MODE, HexFormat.of().parseHex(id)));
    Task task = new Task(block.getInt(), block.get() == 1);
    byte[] tag = new byte[TAG];
    block.get(tag);
    boolean known = task.pair() >= 0 && task.pair() < pairs.size();
    return known && Arrays.equals(tag, tag(annotator, task)) ? task : null;
  }

  private byte[] tag(String annotator, Task task) {
    ComparisonPair pair = pairs.get(task.pair());
    return secret.derive(
        TAG,
        "task",
        annotator,
        pair.item().id(),
        pair.a() + "," + pair.b(),
        task.repeat() ? "again" : "");
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
