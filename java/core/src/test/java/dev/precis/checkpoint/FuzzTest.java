package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files with a few bytes changed are read or refused; nothing else ever comes out. */
class FuzzTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "checkpoint/odd.safetensors, .safetensors, 0, 1400",
    "checkpoint/odd.bin, .bin, 0, 3200",
    "checkpoint/odd-protocol5.bin, .bin, 0, 3200",
    // The directory of the archive, at its end.
    "checkpoint/odd.bin, .bin, 3000, 4784",
  })
  void readsOrRefuses(String name, String extension, int from, int to) throws IOException {
    byte[] whole = Files.readAllBytes(Fixtures.resource(name));
    Path file = folder.resolve("fuzz" + extension);
    Random random = new Random(20250711);
    int refused = 0;
    for (int round = 0; round < 800; round++) {
      byte[] bytes = whole.clone();
      int changes = 1 + random.nextInt(4);
      for (int i = 0; i < changes; i++) {
        int at = from + random.nextInt(Math.min(to, whole.length) - from);
        bytes[at] =
            switch (random.nextInt(4)) {
              case 0 -> (byte) (bytes[at] ^ 1 << random.nextInt(8));
              case 1 -> (byte) random.nextInt(256);
              case 2 -> (byte) 0xff;
              default -> bytes[random.nextInt(whole.length)];
            };
      }
      Files.write(file, bytes);
      try (Checkpoint checkpoint = Checkpoint.openFile(file)) {
        checkpoint.names().forEach(n -> checkpoint.get(n).toBytes());
      } catch (InvalidInputException e) {
        refused++;
      }
    }
    assertTrue(refused > 100, "only " + refused + " changes were noticed");
  }
}
