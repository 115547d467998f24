package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Utf8;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Reads one message of the protocol buffers' wire format, field by field: {@link #next}, then one
 * of the value methods or {@link #skip}. Nothing is read past the message's end.
 */
final class ProtobufReader {
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int LENGTH = 2;
  private static final int FIXED32 = 5;

  private final ByteBuffer buffer;
  private final String where;
  private int field;
  private int wireType;

  ProtobufReader(byte[] message, String where) {
    this(ByteBuffer.wrap(message), where);
  }

  private ProtobufReader(ByteBuffer buffer, String where) {
    this.buffer = buffer.order(ByteOrder.LITTLE_ENDIAN);
    this.where = where;
  }

  /** Goes to the next field; false at the message's end. */
  boolean next() {
    if (!buffer.hasRemaining()) {
      return false;
    }
    long tag = varint();
    field = (int) (tag >>> 3);
    wireType = (int) (tag & 7);
    if (tag >>> 3 < 1 || tag >>> 3 > (1 << 29) - 1) {
      throw damaged("a field has the number " + (tag >>> 3));
    }
    return true;
  }

  /** Returns the number of the current field. */
  int field() {
    return field;
  }

  int int32() {
    expect(VARINT);
    return (int) varint();
  }

  boolean bool() {
    expect(VARINT);
    return varint() != 0;
  }

  float float32() {
    expect(FIXED32);
    return buffer.slice(advance(4), 4).order(ByteOrder.LITTLE_ENDIAN).getFloat();
  }

  byte[] bytes() {
    ByteBuffer value = value();
    byte[] bytes = new byte[value.remaining()];
    value.get(bytes);
    return bytes;
  }

  String text() {
    return Utf8.decode(value(), where + ": field " + field);
  }

  ProtobufReader message() {
    return new ProtobufReader(value(), where);
  }

  /** Passes over a value of any type. */
  void skip() {
    switch (wireType) {
      case VARINT -> varint();
      case FIXED64 -> advance(8);
      case LENGTH -> value();
      case FIXED32 -> advance(4);
      default -> throw damaged("field " + field + " has the wire type " + wireType);
    }
  }

  private ByteBuffer value() {
    expect(LENGTH);
    long length = varint();
    return buffer.slice(advance(length), (int) length);
  }

  /** Reads a number in base 128, the lowest seven bits first, at most ten bytes. */
  private long varint() {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      byte next = buffer.get(advance(1));
      value |= (long) (next & 0x7F) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw damaged("a number does not end");
  }

  /** Moves on by a length that may be a lie; returns where it started. */
  private int advance(long length) {
    int start = buffer.position();
    if (length < 0 || length > buffer.remaining()) {
      throw damaged("field " + field + " is cut off");
    }
    buffer.position(start + (int) length);
    return start;
  }

  private void expect(int type) {
    if (wireType != type) {
      throw damaged("field " + field + " has the wire type " + wireType);
    }
  }

  private InvalidInputException damaged(String what) {
    return new InvalidInputException(
        where + " is damaged or no SentencePiece model (" + what + "); fetch the file again");
  }
}
