package dev.precis.training;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/**
 * Writes curves for TensorBoard: a file of records, each an {@code Event} message of its
 * event.proto with one scalar.
 *
 * <p>A record is its length (8 bytes, little endian), the masked CRC-32C of the length, the
 * message, and its masked CRC-32C. Masking rotates right by 15 bits and adds a282ead8.
 */
public final class EventFile implements AutoCloseable {
  private final FileChannel channel;
  private final Path file;

  /** Creates the file, or overwrites it. */
  public EventFile(Path file) {
    this.file = file;
    try {
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING);
    } catch (IOException e) {
      throw cannotWrite(e);
    }
    byte[] version = "brain.Event:2".getBytes(StandardCharsets.UTF_8);
    ByteBuffer event = message(64);
    wallTime(event);
    event.put((byte) (3 << 3 | 2)).put((byte) version.length).put(version);
    record(event);
  }

  /** Adds a point to a curve. */
  public void scalar(String tag, long step, double value) {
    byte[] name = tag.getBytes(StandardCharsets.UTF_8);
    ByteBuffer point = message(32 + name.length);
    point.put((byte) (1 << 3 | 2));
    varint(point, name.length);
    point.put(name);
    point.put((byte) (2 << 3 | 5)).putFloat((float) value);
    point.flip();
    ByteBuffer summary = message(16 + point.remaining());
    summary.put((byte) (1 << 3 | 2));
    varint(summary, point.remaining());
    summary.put(point).flip();
    ByteBuffer event = message(64 + summary.remaining());
    wallTime(event);
    event.put((byte) (2 << 3));
    varint(event, step);
    event.put((byte) (5 << 3 | 2));
    varint(event, summary.remaining());
    event.put(summary);
    record(event);
  }

  private static ByteBuffer message(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void wallTime(ByteBuffer event) {
    event.put((byte) (1 << 3 | 1)).putDouble(System.currentTimeMillis() / 1e3);
  }

  private static void varint(ByteBuffer to, long value) {
    while ((value & ~0x7fL) != 0) {
      to.put((byte) (value & 0x7f | 0x80));
      value >>>= 7;
    }
    to.put((byte) value);
  }

  private void record(ByteBuffer event) {
    event.flip();
    ByteBuffer record = message(16 + event.remaining());
    record.putLong(event.remaining());
    record.putInt(maskedCrc(record.duplicate().flip()));
    record.put(event.duplicate());
    record.putInt(maskedCrc(event));
    record.flip();
    try {
      while (record.hasRemaining()) {
        channel.write(record);
      }
    } catch (IOException e) {
      throw cannotWrite(e);
    }
  }

  private static int maskedCrc(ByteBuffer bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
  }

  private UncheckedIOException cannotWrite(IOException e) {
    return new UncheckedIOException("Cannot write " + file + ": " + e.getMessage(), e);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw cannotWrite(e);
    }
  }
}
