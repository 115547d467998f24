package dev.precis.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests that a comparison with another build of libtorch than the one asked for is refused. */
class TorchLibraryTest {
  @TempDir Path folder;

  private static String refusal(String folder) {
    return assertThrows(IllegalArgumentException.class, () -> TorchLibrary.loadPyTorch(folder))
        .getMessage();
  }

  @Test
  void missingPyTorchIsRefused() {
    String unknown = refusal(null);
    assertTrue(unknown.contains("set PRECIS_TORCH"), unknown);
    assertEquals(unknown, refusal(""));
    String empty = refusal(folder.toString());
    assertTrue(empty.startsWith(folder + " holds no PyTorch: set PRECIS_TORCH"), empty);
  }

  @Test
  void otherVersionsAreRefused() throws IOException {
    Path lib = Files.createDirectory(folder.resolve("lib"));
    Files.createFile(lib.resolve("libtorch_cpu.so"));
    String none = refusal(lib.toString());
    assertTrue(none.contains("version.py") && none.contains("install PyTorch again"), none);
    Files.writeString(
        folder.resolve("version.py"), "from typing import Optional\n__version__ = '2.9.1+cpu'\n");
    for (Path given : Set.of(folder, lib)) {
      String old = refusal(given.toString());
      assertTrue(old.contains("2.9.1+cpu") && old.contains("install torch==2.13.0"), old);
    }
  }

  /** The two builds have the same symbols. */
  @Test
  void aProcessHasOneBuild() {
    String given = System.getenv(TorchLibrary.FOLDER);
    assumeTrue(given != null, "PRECIS_TORCH is not set");
    TorchLibrary.loadPyTorch(given);
    String message =
        assertThrows(IllegalArgumentException.class, TorchLibrary::loadBundled).getMessage();
    assertTrue(message.contains("runs torch already"), message);
    try (Provider provider = Provider.named("torch")) {
      provider.open(1);
      assertEquals(Set.of(DType.FLOAT32, DType.BFLOAT16), provider.dtypes());
    }
  }
}
