package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.io.InvalidInputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FingerprintTest {
  @TempDir private Path folder;

  /** A file with one number in it. */
  private static byte[] safetensors(String tensor, float value) {
    byte[] header =
        "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
            .formatted(tensor)
            .getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + header.length + 4)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(header.length)
        .put(header)
        .putFloat(value)
        .array();
  }

  private static String sha256(byte[]... files) throws Exception {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] file : files) {
      all.write(file);
    }
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(all.toByteArray()));
  }

  @Test
  void isThatOfTheFile() throws Exception {
    byte[] weights = safetensors("a", 1);
    Files.write(folder.resolve("model.safetensors"), weights);
    assertEquals(sha256(weights), Fingerprint.ofModel(folder));
  }

  /** Shards count in the order of their names, each once, wherever the index begins. */
  @Test
  void isThatOfAllShards() throws Exception {
    byte[] first = safetensors("a", 1);
    byte[] second = safetensors("b", 2);
    Files.write(folder.resolve("model-1.safetensors"), first);
    Files.write(folder.resolve("model-2.safetensors"), second);
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"b\":\"model-2.safetensors\",\"a\":\"model-1.safetensors\"}}");
    assertEquals(sha256(first, second), Fingerprint.ofModel(folder));
  }

  @Test
  void adaptersHaveOne() throws Exception {
    Path adapter = Path.of("src/test/resources/fixtures/t5-tiny-lora");
    byte[] weights = Files.readAllBytes(adapter.resolve("adapter_model.safetensors"));
    assertEquals(sha256(weights), Fingerprint.ofAdapter(adapter));
    assertThrows(InvalidInputException.class, () -> Fingerprint.ofModel(adapter));
    assertThrows(InvalidInputException.class, () -> Fingerprint.ofAdapter(folder));
  }

  @Test
  void changesWithOneBit() throws IOException {
    Files.write(folder.resolve("model.safetensors"), safetensors("a", 1));
    String before = Fingerprint.ofModel(folder);
    Files.write(folder.resolve("model.safetensors"), safetensors("a", Math.nextUp(1f)));
    assertEquals(false, before.equals(Fingerprint.ofModel(folder)));
  }
}
