package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Utf8;
import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * A mapped safetensors file. Opening it checks the whole header: every tensor's bytes are inside
 * the file, match its shape, and together cover the data without hole or overlap.
 */
final class SafeTensorsFile implements TensorFile {
  private static final int MAX_RANK = 64;
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The format's types: bits an element, and ours where we read it. */
  private enum Type {
    BOOL(8, DType.BOOL),
    U8(8, DType.UINT8),
    I8(8, DType.INT8),
    I32(32, DType.INT32),
    I64(64, DType.INT64),
    F16(16, DType.FLOAT16),
    BF16(16, DType.BFLOAT16),
    F32(32, DType.FLOAT32),
    F64(64, DType.FLOAT64),
    I16(16, null),
    U16(16, null),
    U32(32, null),
    U64(64, null),
    C64(64, null),
    F4(4, null),
    F6_E2M3(6, null),
    F6_E3M2(6, null),
    F8_E4M3(8, null),
    F8_E5M2(8, null),
    F8_E8M0(8, null),
    F8_E4M3FNUZ(8, null),
    F8_E5M2FNUZ(8, null);

    final int bits;
    final DType dtype;

    Type(int bits, DType dtype) {
      this.bits = bits;
      this.dtype = dtype;
    }
  }

  private record Entry(String name, Type type, long[] shape, long begin, long end) {}

  private final Path path;
  private final Arena arena;
  private final MappedFile mapped;
  private final MemorySegment data;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  SafeTensorsFile(Path path, Arena arena) {
    this.path = path;
    this.arena = arena;
    mapped = MappedFile.map(path, arena);
    MemorySegment file = mapped.bytes();
    if (file.byteSize() < 10) {
      throw invalid("is " + file.byteSize() + " bytes long, too short for a safetensors file");
    }
    long length = file.get(LENGTH, 0);
    if (length < 2 || length > Json.MAX_BYTES || length > file.byteSize() - 8) {
      throw invalid(
          "announces a header of %s bytes in a file of %d (at most %d are allowed): it is cut short"
                  .formatted(Long.toUnsignedString(length), file.byteSize(), Json.MAX_BYTES)
              + " or not a safetensors file");
    }
    if (file.get(JAVA_BYTE, 8) != '{') {
      throw invalid("has a header that does not start with '{': it is not a safetensors file");
    }
    data = file.asSlice(8 + length);
    String header =
        Utf8.decode(ByteBuffer.wrap(file.asSlice(8, length).toArray(JAVA_BYTE)), where());
    try (JsonParser json = Json.parser(header)) {
      parse(json);
    } catch (JacksonException e) {
      throw Json.invalid(where(), e);
    }
    checkCoverage();
  }

  private void parse(JsonParser json) {
    expect(json.nextToken(), JsonToken.START_OBJECT, "the header", "an object");
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = json.currentName();
      expect(json.nextToken(), JsonToken.START_OBJECT, "\"" + name + "\"", "an object");
      if (name.equals(SafeTensors.METADATA)) {
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
          String key = json.currentName();
          expect(json.nextToken(), JsonToken.VALUE_STRING, "metadata \"" + key + "\"", "a text");
          metadata.put(key, json.getString());
        }
      } else {
        entries.put(name, parseEntry(json, name));
      }
    }
    if (json.nextToken() != null) {
      throw invalid("has something after the header's object");
    }
  }

  private Entry parseEntry(JsonParser json, String name) {
    Type type = null;
    long[] shape = null;
    long[] offsets = null;
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = json.currentName();
      JsonToken value = json.nextToken();
      switch (key) {
        case "dtype" -> {
          expect(value, JsonToken.VALUE_STRING, "tensor " + name + "'s dtype", "a text");
          type = type(json.getString(), name);
        }
        case "shape" -> shape = numbers(json, value, MAX_RANK, "tensor " + name + "'s shape");
        case "data_offsets" ->
            offsets = numbers(json, value, 2, "tensor " + name + "'s data_offsets");
        default -> json.skipChildren();
      }
    }
    if (type == null || shape == null || offsets == null || offsets.length != 2) {
      throw invalid("lacks dtype, shape or both data_offsets of tensor " + name);
    }
    return new Entry(name, type, shape, offsets[0], offsets[1]);
  }

  private Type type(String text, String name) {
    for (Type type : Type.values()) {
      if (type.name().equals(text)) {
        return type;
      }
    }
    throw invalid("gives tensor " + name + " the dtype \"" + text + "\", which does not exist");
  }

  private long[] numbers(JsonParser json, JsonToken token, int most, String what) {
    expect(token, JsonToken.START_ARRAY, what, "a list");
    List<Long> numbers = new ArrayList<>();
    while ((token = json.nextToken()) != JsonToken.END_ARRAY) {
      expect(token, JsonToken.VALUE_NUMBER_INT, what, "whole numbers");
      long number = json.getLongValue();
      if (number < 0 || numbers.size() == most) {
        throw invalid("has a negative number or more than " + most + " in " + what);
      }
      numbers.add(number);
    }
    return numbers.stream().mapToLong(Long::longValue).toArray();
  }

  private void expect(JsonToken token, JsonToken expected, String what, String kind) {
    if (token != expected) {
      throw invalid("must have " + kind + " for " + what);
    }
  }

  private void checkCoverage() {
    List<Entry> inOrder = new ArrayList<>(entries.values());
    inOrder.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long position = 0;
    for (Entry entry : inOrder) {
      if (entry.begin != position || entry.end < entry.begin) {
        throw invalid(
            "places tensor %s at bytes %d to %d where %d was due: tensors overlap or leave a hole"
                .formatted(entry.name, entry.begin, entry.end, position));
      }
      long bytes;
      try {
        long bits = Math.multiplyExact(TensorView.elements(entry.shape), entry.type.bits);
        bytes = bits % 8 == 0 ? bits / 8 : -1;
      } catch (ArithmeticException e) {
        bytes = -1;
      }
      if (bytes != entry.end - entry.begin) {
        throw invalid(
            "gives tensor %s %d bytes, which is not what shape %s of %s takes"
                .formatted(
                    entry.name, entry.end - entry.begin, Arrays.toString(entry.shape), entry.type));
      }
      position = entry.end;
    }
    if (position != data.byteSize()) {
      throw invalid(
          "has %d bytes of tensors where its header announces %d: it is damaged, fetch it again"
              .formatted(data.byteSize(), position));
    }
  }

  private String where() {
    return path + ", header";
  }

  private InvalidInputException invalid(String what) {
    return TensorFile.invalid(path, what);
  }

  @Override
  public void requireUnchanged() {
    mapped.requireUnchanged();
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  @Override
  public TensorView get(String name) {
    Entry entry = entries.get(name);
    DType dtype = entry.type.dtype;
    if (dtype == null) {
      throw invalid("holds tensor " + name + " as " + entry.type + ", a type that is not read");
    }
    MemorySegment bytes = data.asSlice(entry.begin, entry.end - entry.begin);
    return new TensorView(
        name, dtype, entry.shape, MappedFile.aligned(bytes, dtype.bytes(), arena));
  }

  @Override
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }
}
