package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.precis.checkpoint.PickleReader.Tensor;
import dev.precis.io.InvalidInputException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A mapped file of {@code torch.save}: a zip archive with the pickled state dict in {@code
 * NAME/data.pkl} and each storage in {@code NAME/data/KEY}. Opening it checks every tensor against
 * its storage. A contiguous tensor is a view of the mapped file; any other is copied.
 */
final class TorchFile implements TensorFile {
  private static final String PICKLE = "/data.pkl";

  /** A tensor expanded by zero strides may be larger than its storage, up to this many elements. */
  private static final long MAX_EXPANDED = 1 << 24;

  private final Path path;
  private final Arena arena;
  private final MappedFile mapped;
  private final ZipArchive zip;
  private final String prefix;
  private final Map<String, Tensor> tensors;

  TorchFile(Path path, Arena arena) {
    this.path = path;
    this.arena = arena;
    mapped = MappedFile.map(path, arena);
    MemorySegment file = mapped.bytes();
    checkFormat(file);
    zip = new ZipArchive(path, file, arena);
    Map<String, Long> sizes = zip.sizes();
    List<String> pickles =
        sizes.keySet().stream()
            .filter(n -> n.endsWith(PICKLE) && n.indexOf('/') == n.length() - PICKLE.length())
            .toList();
    if (pickles.size() != 1) {
      throw invalid("is a zip archive but not one of torch.save: it has no single data.pkl");
    }
    String pickle = pickles.getFirst();
    prefix = pickle.substring(0, pickle.length() - PICKLE.length());
    if (sizes.containsKey(prefix + "/constants.pkl")) {
      throw invalid(
          "is a TorchScript program, which is not read: save its weights with"
              + " torch.save(model.state_dict(), path)");
    }
    checkByteOrder(sizes);
    if (sizes.get(pickle) > PickleReader.MAX_BYTES) {
      throw invalid("has a pickle of " + sizes.get(pickle) + " bytes, which no checkpoint needs");
    }
    tensors = PickleReader.readStateDict(path, zip.read(pickle));
    tensors.forEach((name, tensor) -> check(name, tensor, sizes));
  }

  private void checkFormat(MemorySegment file) {
    boolean zipped =
        file.byteSize() > 4 && file.get(JAVA_BYTE, 0) == 'P' && file.get(JAVA_BYTE, 1) == 'K';
    boolean pickled = file.byteSize() > 2 && file.get(JAVA_BYTE, 0) == (byte) 0x80;
    boolean tarred =
        file.byteSize() > 262
            && new String(file.asSlice(257, 5).toArray(JAVA_BYTE), StandardCharsets.US_ASCII)
                .equals("ustar");
    if (pickled || tarred) {
      throw invalid(
          "is in the format that PyTorch wrote before 1.6, which is not read: convert it once with"
              + " Python, torch.save(torch.load(path, map_location=\"cpu\"), path)");
    }
    if (!zipped) {
      throw invalid("is not a file of torch.save: fetch it again");
    }
  }

  private void checkByteOrder(Map<String, Long> sizes) {
    Long size = sizes.get(prefix + "/byteorder");
    if (size == null) {
      return;
    }
    boolean little =
        size <= 16
            && StandardCharsets.ISO_8859_1
                .decode(ByteBuffer.wrap(zip.read(prefix + "/byteorder").toArray(JAVA_BYTE)))
                .toString()
                .equals("little");
    if (!little) {
      throw invalid(
          "was saved on a big-endian machine, which is not read: save it as safetensors there");
    }
  }

  private void check(String name, Tensor tensor, Map<String, Long> sizes) {
    Long stored = sizes.get(entry(tensor));
    try {
      long storage =
          Math.multiplyExact(tensor.storage().elements(), tensor.storage().dtype().bytes());
      if (stored == null || stored < storage) {
        throw invalid(
            "lacks the data of tensor %s (storage %s has %s bytes, %d are needed): fetch it again"
                .formatted(name, tensor.storage().key(), stored == null ? "no" : stored, storage));
      }
      long elements = TensorView.elements(tensor.shape());
      long last = tensor.offset();
      for (int i = 0; i < tensor.shape().length; i++) {
        last =
            Math.addExact(
                last, Math.multiplyExact(Math.max(0, tensor.shape()[i] - 1), tensor.strides()[i]));
      }
      if (elements > 0 && last >= tensor.storage().elements()) {
        throw invalid("places tensor " + name + " outside its storage: fetch it again");
      }
      if (elements > Math.max(tensor.storage().elements(), MAX_EXPANDED)) {
        throw invalid("expands tensor " + name + " far beyond its storage: it is refused");
      }
    } catch (ArithmeticException e) {
      throw invalid("gives tensor " + name + " a size beyond all bounds: fetch it again");
    }
  }

  private String entry(Tensor tensor) {
    return prefix + "/data/" + tensor.storage().key();
  }

  @Override
  public TensorView get(String name) {
    Tensor tensor = tensors.get(name);
    int width = tensor.storage().dtype().bytes();
    long bytes = TensorView.elements(tensor.shape()) * width;
    MemorySegment storage = zip.read(entry(tensor));
    MemorySegment data;
    if (bytes == 0) {
      data = MemorySegment.NULL;
    } else if (isContiguous(tensor)) {
      data = MappedFile.aligned(storage.asSlice(tensor.offset() * width, bytes), width, arena);
    } else {
      data = arena.allocate(bytes, width);
      gather(tensor, 0, storage, tensor.offset(), data, 0);
      data = data.asReadOnly();
    }
    return new TensorView(name, tensor.storage().dtype(), tensor.shape(), data);
  }

  private static boolean isContiguous(Tensor tensor) {
    long expected = 1;
    for (int i = tensor.shape().length - 1; i >= 0; i--) {
      if (tensor.shape()[i] != 1 && tensor.strides()[i] != expected) {
        return false;
      }
      expected *= tensor.shape()[i];
    }
    return true;
  }

  /**
   * Copies the elements below one index of the dimensions before {@code dimension}, in row-major
   * order.
   *
   * @param source index of the first of them in the storage
   * @param target index of the first of them in the copy
   * @return the target's index after the last
   */
  private static long gather(
      Tensor tensor,
      int dimension,
      MemorySegment from,
      long source,
      MemorySegment to,
      long target) {
    if (dimension == tensor.shape().length) {
      int width = tensor.storage().dtype().bytes();
      MemorySegment.copy(from, source * width, to, target * width, width);
      return target + 1;
    }
    for (long i = 0; i < tensor.shape()[dimension]; i++) {
      target =
          gather(tensor, dimension + 1, from, source + i * tensor.strides()[dimension], to, target);
    }
    return target;
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
    return Collections.unmodifiableSet(tensors.keySet());
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }
}
