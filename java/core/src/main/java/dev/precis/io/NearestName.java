package dev.precis.io;

import java.util.Collection;
import java.util.Optional;

/** Finds the name that somebody may have meant. */
public final class NearestName {
  private static final int MAX_LENGTH = 200;

  private NearestName() {}

  /** Returns the name with the fewest edits if they are at most a third of the letters. */
  public static Optional<String> of(String wanted, Collection<String> names) {
    String best = null;
    int fewest = Math.max(3, wanted.length() / 3) + 1;
    for (String name : names) {
      if (name.length() <= MAX_LENGTH
          && wanted.length() <= MAX_LENGTH
          && Math.abs(name.length() - wanted.length()) < fewest) {
        int edits = edits(wanted, name);
        if (edits < fewest) {
          fewest = edits;
          best = name;
        }
      }
    }
    return Optional.ofNullable(best);
  }

  /** Returns Levenshtein's distance. */
  private static int edits(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
