package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  private static int masked(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    long value = crc.getValue();
    return (int) ((value >>> 15 | value << 17) + 0xa282ead8L);
  }

  /** The messages of a file, whose lengths and checksums are right. */
  private static List<ByteBuffer> records(Path file) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    List<ByteBuffer> records = new ArrayList<>();
    while (all.hasRemaining()) {
      byte[] length = new byte[8];
      all.get(length);
      assertEquals(masked(length), all.getInt());
      long bytes = ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong();
      byte[] message = new byte[(int) bytes];
      all.get(message);
      assertEquals(masked(message), all.getInt());
      records.add(ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN));
    }
    return records;
  }

  @Test
  void recordsAreWhatTensorBoardReads(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("events.out.tfevents.test");
    try (EventFile events = new EventFile(file)) {
      events.scalar("loss", 1, 2.5);
      events.scalar("loss", 300, 1.25);
    }
    List<ByteBuffer> records = records(file);
    assertEquals(3, records.size());
    String first = StandardCharsets.UTF_8.decode(records.get(0)).toString();
    assertTrue(first.endsWith("brain.Event:2"));
    ByteBuffer event = records.get(2);
    assertEquals(9, event.get()); // wall_time, a double
    assertTrue(event.getDouble() > 1.6e9);
    assertEquals(16, event.get()); // step, a varint: 300 = 0b10_0101100
    assertEquals((byte) 0xac, event.get());
    assertEquals(2, event.get());
    assertEquals(42, event.get()); // summary
    assertEquals(event.get(), event.remaining());
    assertEquals(10, event.get()); // its value
    assertEquals(event.get(), event.remaining());
    assertEquals(10, event.get()); // its tag
    byte[] tag = new byte[event.get()];
    event.get(tag);
    assertEquals("loss", new String(tag, StandardCharsets.UTF_8));
    assertEquals(21, event.get()); // its simple_value, a float
    assertEquals(1.25f, event.getFloat());
    assertEquals(0, event.remaining());
  }
}
