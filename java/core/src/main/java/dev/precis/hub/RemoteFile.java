package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import java.util.regex.Pattern;

/**
 * A file of a repository at one commit.
 *
 * @param name its path in the repository
 * @param size in bytes, or -1 where the hub does not tell
 * @param etag the name of its content in the cache
 * @param digest what the etag is computed from the content by
 */
record RemoteFile(String name, long size, String etag, Digest digest) {
  private static final Pattern SAFE = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}");

  enum Digest {
    /** The etag is the content's SHA-256: files in large-file storage. */
    SHA256,
    /** The etag is git's name for the content: small files. */
    GIT,
    /** The etag is whatever a mirror made up. */
    NONE
  }

  RemoteFile {
    if (!Repository.isPlainPath(name)) {
      throw new InvalidInputException(
          "The hub lists a file named \""
              + name.replaceAll("\\p{Cntrl}", "?")
              + "\", which does not stay in its folder: nothing was downloaded");
    }
    if (!SAFE.matcher(etag).matches() || etag.endsWith(".incomplete")) {
      throw new InvalidInputException(
          "The hub gives " + name + " an ETag that cannot be a file's name: check HF_ENDPOINT");
    }
  }
}
