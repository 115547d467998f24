package dev.precis.io;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/**
 * Explains in words why reading or writing failed: Java's file exceptions often say the path alone.
 */
public final class Reason {
  private Reason() {}

  /** Returns a phrase for the end of a sentence. */
  public static String of(IOException e) {
    return switch (e) {
      case AccessDeniedException _ -> "permission denied";
      case NoSuchFileException _ -> "its folder or itself does not exist";
      case NotDirectoryException _ -> "a folder on its path is a file";
      case FileSystemException f when f.getReason() != null -> f.getReason();
      default -> e.getMessage() == null ? e.toString() : e.getMessage();
    };
  }
}
