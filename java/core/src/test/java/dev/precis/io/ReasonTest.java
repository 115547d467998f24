package dev.precis.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import org.junit.jupiter.api.Test;

class ReasonTest {
  @Test
  void saysMoreThanThePath() {
    assertEquals("permission denied", Reason.of(new AccessDeniedException("/x")));
    assertEquals("its folder or itself does not exist", Reason.of(new NoSuchFileException("/x")));
    assertEquals(
        "Is a directory", Reason.of(new FileSystemException("/x", null, "Is a directory")));
    assertEquals("No space left on device", Reason.of(new IOException("No space left on device")));
    assertEquals("java.io.IOException", Reason.of(new IOException()));
  }
}
