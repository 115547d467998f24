package dev.precis.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Assembles pickles and the archives that torch.save puts them in, right and wrong ones. */
final class PickleBytes {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  PickleBytes() {
    op(0x80).op(2);
  }

  PickleBytes op(int opcode) {
    out.write(opcode);
    return this;
  }

  PickleBytes raw(byte[] bytes) {
    out.writeBytes(bytes);
    return this;
  }

  PickleBytes text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return op('X').u32(bytes.length).raw(bytes);
  }

  PickleBytes number(long number) {
    return op(0x8a)
        .op(8)
        .raw(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array());
  }

  PickleBytes u32(int number) {
    return raw(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(number).array());
  }

  PickleBytes global(String module, String name) {
    return op('c').raw((module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
  }

  PickleBytes tuple(long... numbers) {
    op('(');
    for (long number : numbers) {
      number(number);
    }
    return op('t');
  }

  /** A tensor as torch.save describes it. */
  PickleBytes tensor(
      String storageClass, String key, long elements, long offset, long[] shape, long[] strides) {
    global("torch._utils", "_rebuild_tensor_v2").op('(');
    op('(').text("storage").global("torch", storageClass).text(key).text("cpu").number(elements);
    op('t').op('Q').number(offset).tuple(shape).tuple(strides).op(0x89);
    return global("collections", "OrderedDict").op(')').op('R').op('t').op('R');
  }

  byte[] stop() {
    op('.');
    return out.toByteArray();
  }

  /** The archive of a pickle and its storages. */
  static void zip(Path file, byte[] pickle, Map<String, byte[]> storages, int method) {
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      entry(zip, "archive/data.pkl", pickle, method);
      for (Map.Entry<String, byte[]> storage : storages.entrySet()) {
        entry(zip, "archive/data/" + storage.getKey(), storage.getValue(), method);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void entry(ZipOutputStream zip, String name, byte[] bytes, int method) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    entry.setMethod(method);
    if (method == ZipEntry.STORED) {
      CRC32 crc = new CRC32();
      crc.update(bytes);
      entry.setSize(bytes.length);
      entry.setCrc(crc.getValue());
    }
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }

  /** Float tensors as a torch.save file. */
  static void save(Path file, Iterable<TensorView> tensors, int method) {
    PickleBytes pickle = new PickleBytes().op('}').op('(');
    Map<String, byte[]> storages = new LinkedHashMap<>();
    for (TensorView tensor : tensors) {
      String key = String.valueOf(storages.size());
      List<Long> strides = new ArrayList<>();
      long stride = 1;
      for (int i = tensor.shape().length - 1; i >= 0; i--) {
        strides.addFirst(stride);
        stride *= tensor.shape()[i];
      }
      pickle
          .text(tensor.name())
          .tensor(
              "FloatStorage",
              key,
              tensor.elements(),
              0,
              tensor.shape(),
              strides.stream().mapToLong(Long::longValue).toArray());
      storages.put(key, tensor.toBytes());
    }
    zip(file, pickle.op('u').stop(), storages, method);
  }
}
