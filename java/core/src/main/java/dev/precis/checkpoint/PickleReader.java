package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Utf8;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Reads the pickle of a PyTorch state dict without Python: a stack machine that knows only what
 * state dicts are made of. It calls nothing. The names that a pickle may mention are the
 * dictionary, the storages and the two rebuild functions below, and each of those becomes a plain
 * record here; any other name, and any opcode that would make or change an object, ends the
 * reading.
 */
final class PickleReader {
  static final int MAX_BYTES = 64 << 20;

  /** More values than a state dict of a hundred thousand tensors pushes. */
  private static final int MAX_VALUES = 4_000_000;

  private static final int MAX_NAME = 1000;
  private static final int MAX_RANK = 64;

  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble BIG_ENDIAN_DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  /** The keys under which training programs keep the state dict. */
  private static final List<String> WRAPPERS =
      List.of("state_dict", "model_state_dict", "model", "module", "net", "network", "weights");

  private static final int MAX_WRAPPERS = 3;
  private static final int SHOWN_KEYS = 5;

  /** A storage: the entry {@code data/key} of the archive, as {@code elements} of {@code dtype}. */
  record Storage(String key, DType dtype, long elements) {}

  /** A strided view of a storage; offset and strides count elements. */
  record Tensor(Storage storage, long offset, long[] shape, long[] strides) {}

  private record Global(String name) {}

  private record Tuple(Object[] items) {}

  /** None, which a Java collection may not always hold as {@code null}. */
  private enum Special {
    NONE,
    MARK
  }

  private static final Global ORDERED_DICT = new Global("collections.OrderedDict");
  private static final Global REBUILD_TENSOR = new Global("torch._utils._rebuild_tensor_v2");
  private static final Global REBUILD_PARAMETER = new Global("torch._utils._rebuild_parameter");

  private static final Map<String, DType> STORAGES =
      Map.of(
          "torch.FloatStorage", DType.FLOAT32,
          "torch.BFloat16Storage", DType.BFLOAT16,
          "torch.HalfStorage", DType.FLOAT16,
          "torch.DoubleStorage", DType.FLOAT64,
          "torch.LongStorage", DType.INT64,
          "torch.IntStorage", DType.INT32,
          "torch.CharStorage", DType.INT8,
          "torch.ByteStorage", DType.UINT8,
          "torch.BoolStorage", DType.BOOL);

  /** The opcodes that would run or build something, for the sentence that refuses them. */
  private static final Map<Integer, String> REFUSED =
      Map.ofEntries(
          Map.entry((int) 'i', "INST"),
          Map.entry((int) 'o', "OBJ"),
          Map.entry((int) 'P', "PERSID"),
          Map.entry(0x81, "NEWOBJ"),
          Map.entry(0x82, "EXT1"),
          Map.entry(0x83, "EXT2"),
          Map.entry(0x84, "EXT4"),
          Map.entry(0x92, "NEWOBJ_EX"),
          Map.entry(0x97, "NEXT_BUFFER"),
          Map.entry(0x98, "READONLY_BUFFER"));

  private final Path path;
  private final MemorySegment bytes;
  private final List<Object> stack = new ArrayList<>();
  private final Map<Integer, Object> memo = new HashMap<>();
  private long position;
  private int values;

  private PickleReader(Path path, MemorySegment bytes) {
    this.path = path;
    this.bytes = bytes;
  }

  /**
   * Reads the tensors of a pickled state dict, by name, in its order. Values that are no tensors
   * are left out. The state dict may be inside another dictionary, under a usual key.
   *
   * @param path the file, for the errors' sentences
   * @throws InvalidInputException if the pickle is damaged or names anything but tensors
   */
  static Map<String, Tensor> readStateDict(Path path, MemorySegment bytes) {
    if (bytes.byteSize() > MAX_BYTES) {
      throw TensorFile.invalid(
          path, "has a pickle of more than " + MAX_BYTES + " bytes, which no checkpoint needs");
    }
    PickleReader reader = new PickleReader(path, bytes);
    Object root;
    try {
      root = reader.run();
    } catch (IndexOutOfBoundsException e) {
      throw reader.damaged("it ends too early");
    }
    if (!(root instanceof Map<?, ?> dictionary)) {
      throw TensorFile.invalid(
          path, "does not hold a state dict: save it with torch.save(model.state_dict(), path)");
    }
    return reader.stateDict(dictionary);
  }

  /**
   * Returns the tensors of a dictionary, or those of the one inside it that training programs keep
   * beside other entries, such as the epoch.
   */
  private Map<String, Tensor> stateDict(Map<?, ?> dictionary) {
    Map<String, Tensor> own = tensors(dictionary);
    Map<String, Map<String, Tensor>> wrapped = new LinkedHashMap<>();
    collect(dictionary, "", 0, wrapped);
    Map<String, Tensor> inside = Map.of();
    String place = null;
    for (Map.Entry<String, Map<String, Tensor>> each : wrapped.entrySet()) {
      if (place != null && !each.getValue().equals(inside)) {
        throw TensorFile.invalid(
            path,
            "holds a state dict under \"%s\" and another one under \"%s\": save the right one alone"
                .formatted(place, each.getKey()));
      }
      place = each.getKey();
      inside = each.getValue();
    }
    if (!own.isEmpty() || !inside.isEmpty()) {
      return own.size() >= inside.size() ? own : inside;
    }
    String keys =
        dictionary.keySet().stream()
            .limit(SHOWN_KEYS)
            .map(key -> "\"" + key + "\"")
            .collect(Collectors.joining(", "));
    throw TensorFile.invalid(
        path,
        (keys.isEmpty() ? "holds an empty dictionary" : "holds no tensors but the entries " + keys)
            + ": save the state dict alone, with torch.save(model.state_dict(), path)");
  }

  /** Collects the state dicts below the keys under which programs keep them, by their place. */
  private static void collect(
      Map<?, ?> dictionary, String place, int depth, Map<String, Map<String, Tensor>> found) {
    for (String key : depth < MAX_WRAPPERS ? WRAPPERS : List.<String>of()) {
      if (dictionary.get(key) instanceof Map<?, ?> inner) {
        Map<String, Tensor> tensors = tensors(inner);
        if (!tensors.isEmpty()) {
          found.put(place + key, tensors);
        }
        collect(inner, place + key + ".", depth + 1, found);
      }
    }
  }

  private static Map<String, Tensor> tensors(Map<?, ?> dictionary) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    dictionary.forEach(
        (key, value) -> {
          if (key instanceof String name && value instanceof Tensor tensor) {
            tensors.put(name, tensor);
          }
        });
    return tensors;
  }

  private Object run() {
    if (nextByte() != 0x80 || nextByte() > 5) {
      throw damaged("it does not start as a pickle of protocol 2 to 5");
    }
    while (true) {
      int opcode = nextByte();
      switch (opcode) {
        case '.' -> { // STOP
          return pop();
        }
        case 0x95 -> skipFrame(); // FRAME
        case '(' -> push(Special.MARK); // MARK
        case 'N' -> push(Special.NONE); // NONE
        case 0x88 -> push(true); // NEWTRUE
        case 0x89 -> push(false); // NEWFALSE
        case 'K' -> push((long) nextByte()); // BININT1
        case 'M' -> push((long) Short.toUnsignedInt(bytes.get(SHORT, advance(2)))); // BININT2
        case 'J' -> push((long) bytes.get(INT, advance(4))); // BININT
        case 0x8a -> push(readLong(nextByte())); // LONG1
        case 'G' -> push(bytes.get(BIG_ENDIAN_DOUBLE, advance(8))); // BINFLOAT
        case 0x8c -> push(readText(nextByte())); // SHORT_BINUNICODE
        case 'X' -> push(readText(nextU32())); // BINUNICODE
        case 0x8d -> push(readText(bytes.get(LONG, advance(8)))); // BINUNICODE8
        case ')' -> push(new Tuple(new Object[0])); // EMPTY_TUPLE
        case 0x85 -> push(new Tuple(popMany(1))); // TUPLE1
        case 0x86 -> push(new Tuple(popMany(2))); // TUPLE2
        case 0x87 -> push(new Tuple(popMany(3))); // TUPLE3
        case 't' -> push(new Tuple(popToMark())); // TUPLE
        case ']' -> push(new ArrayList<>()); // EMPTY_LIST
        case 'a' -> append(popMany(1)); // APPEND
        case 'e' -> append(popToMark()); // APPENDS
        case '}' -> push(new LinkedHashMap<>()); // EMPTY_DICT
        case 's' -> setItems(popMany(2)); // SETITEM
        case 'u' -> setItems(popToMark()); // SETITEMS
        case 'q' -> memo.put(nextByte(), peek()); // BINPUT
        case 'r' -> memo.put(nextMemoIndex(), peek()); // LONG_BINPUT
        case 0x94 -> memo.put(memo.size(), peek()); // MEMOIZE
        case 'h' -> push(recall(nextByte())); // BINGET
        case 'j' -> push(recall(nextMemoIndex())); // LONG_BINGET
        case 'c' -> push(global(readLine(), readLine())); // GLOBAL
        case 0x93 -> { // STACK_GLOBAL
          Object[] name = popMany(2);
          push(global(expect(String.class, name[0]), expect(String.class, name[1])));
        }
        case 'R' -> { // REDUCE
          Object[] call = popMany(2);
          push(reduce(call[0], expect(Tuple.class, call[1]).items));
        }
        case 'b' -> build(popMany(1)[0]); // BUILD
        case 'Q' -> push(storage(expect(Tuple.class, pop()).items)); // BINPERSID
        default -> throw refusedOpcode(opcode);
      }
    }
  }

  /** Returns a name that may appear. Names are compared, never looked up anywhere. */
  private Global global(String module, String name) {
    Global global = new Global(module + "." + name);
    if (STORAGES.containsKey(global.name)
        || global.equals(ORDERED_DICT)
        || global.equals(REBUILD_TENSOR)
        || global.equals(REBUILD_PARAMETER)) {
      return global;
    }
    throw refused("names " + global.name);
  }

  private Object reduce(Object function, Object[] arguments) {
    if (ORDERED_DICT.equals(function) && arguments.length == 0) {
      return new LinkedHashMap<>();
    }
    if (REBUILD_PARAMETER.equals(function) && arguments.length == 3) {
      return expect(Tensor.class, arguments[0]);
    }
    if (REBUILD_TENSOR.equals(function) && (arguments.length == 6 || arguments.length == 7)) {
      Storage storage = expect(Storage.class, arguments[0]);
      long offset = expect(Long.class, arguments[1]);
      long[] shape = longs(arguments[2]);
      long[] strides = longs(arguments[3]);
      if (offset < 0 || shape.length != strides.length) {
        throw damaged("a tensor's offset, shape and strides do not go together");
      }
      return new Tensor(storage, offset, shape, strides);
    }
    throw function instanceof Global named
        ? refused("calls " + named.name + " in a way that state dicts do not")
        : refused("calls something that is not a function");
  }

  /**
   * Executes BUILD, which sets an object's attributes. State dicts carry their {@code _metadata}
   * that way, which has no use here; on anything but the dictionary it would be an object's own
   * setter.
   */
  private void build(Object state) {
    if (!(peek() instanceof Map) || !(state instanceof Map)) {
      throw refused("sets the state of an object (opcode BUILD)");
    }
  }

  /** Resolves a persistent id: ("storage", class, key, device, number of elements). */
  private Storage storage(Object[] id) {
    if (id.length == 5
        && "storage".equals(id[0])
        && id[1] instanceof Global type
        && STORAGES.containsKey(type.name)
        && id[2] instanceof String key
        && id[4] instanceof Long elements
        && elements >= 0) {
      return new Storage(key, STORAGES.get(type.name), elements);
    }
    throw damaged("a storage is described in an unknown way");
  }

  private long[] longs(Object tuple) {
    Object[] items = expect(Tuple.class, tuple).items;
    if (items.length > MAX_RANK) {
      throw damaged("a tensor has " + items.length + " dimensions");
    }
    long[] longs = new long[items.length];
    for (int i = 0; i < items.length; i++) {
      longs[i] = expect(Long.class, items[i]);
      if (longs[i] < 0) {
        throw damaged("a tensor has a negative dimension or stride");
      }
    }
    return longs;
  }

  private void append(Object[] items) {
    if (!(peek() instanceof List<?>)) {
      throw damaged("it appends to what is no list");
    }
    @SuppressWarnings("unchecked")
    List<Object> list = (List<Object>) peek();
    list.addAll(Arrays.asList(items));
  }

  private void setItems(Object[] items) {
    if (!(peek() instanceof Map<?, ?>) || items.length % 2 != 0) {
      throw damaged("it sets items of what is no dictionary");
    }
    @SuppressWarnings("unchecked")
    Map<Object, Object> map = (Map<Object, Object>) peek();
    for (int i = 0; i < items.length; i += 2) {
      // Plain keys only: the hash of a container may be as deep as the file likes, or endless.
      if (!(items[i] instanceof String) && !(items[i] instanceof Long)) {
        throw damaged("a dictionary has a key that is neither text nor number");
      }
      map.put(items[i], items[i + 1]);
    }
  }

  private void push(Object value) {
    if (++values > MAX_VALUES) {
      throw TensorFile.invalid(
          path, "has a pickle of more than " + MAX_VALUES + " values, which no checkpoint needs");
    }
    stack.add(value);
  }

  private Object pop() {
    return popMany(1)[0];
  }

  /** Pops the top values, the deepest first; a mark among them is an error. */
  private Object[] popMany(int count) {
    if (stack.size() < count) {
      throw damaged("its stack runs empty");
    }
    List<Object> top = stack.subList(stack.size() - count, stack.size());
    Object[] items = top.toArray();
    top.clear();
    for (Object item : items) {
      if (item == Special.MARK) {
        throw damaged("a mark is where a value should be");
      }
    }
    return items;
  }

  private Object[] popToMark() {
    int mark = stack.size() - 1;
    while (mark >= 0 && stack.get(mark) != Special.MARK) {
      mark--;
    }
    if (mark < 0) {
      throw damaged("a mark is missing");
    }
    Object[] items = popMany(stack.size() - mark - 1);
    stack.removeLast();
    return items;
  }

  private Object peek() {
    if (stack.isEmpty() || stack.getLast() == Special.MARK) {
      throw damaged("its stack runs empty");
    }
    return stack.getLast();
  }

  private Object recall(int index) {
    Object value = memo.get(index);
    if (value == null) {
      throw damaged("it recalls what it never stored");
    }
    return value;
  }

  private <T> T expect(Class<T> type, Object value) {
    if (!type.isInstance(value)) {
      throw damaged("a value has the wrong type");
    }
    return type.cast(value);
  }

  private void skipFrame() {
    long length = bytes.get(LONG, advance(8));
    if (length < 0 || length > bytes.byteSize() - position) {
      throw damaged("it ends too early");
    }
  }

  private long advance(long count) {
    long at = position;
    position += count;
    return at;
  }

  private int nextByte() {
    return Byte.toUnsignedInt(bytes.get(JAVA_BYTE, advance(1)));
  }

  private long nextU32() {
    return Integer.toUnsignedLong(bytes.get(INT, advance(4)));
  }

  private int nextMemoIndex() {
    return (int) Math.min(nextU32(), Integer.MAX_VALUE);
  }

  /** Reads a number in two's complement, little endian. */
  private long readLong(int length) {
    if (length > Long.BYTES) {
      throw damaged("a number has more than 64 bits");
    }
    long at = advance(length);
    long value = 0;
    for (int i = length - 1; i >= 0; i--) {
      value = value << 8 | Byte.toUnsignedInt(bytes.get(JAVA_BYTE, at + i));
    }
    int unused = Long.SIZE - Byte.SIZE * length;
    return length == 0 ? 0 : value << unused >> unused;
  }

  private String readText(long length) {
    if (length < 0 || length > bytes.byteSize() - position) {
      throw damaged("it ends too early");
    }
    return Utf8.decode(
        bytes.asSlice(advance(length), length).asByteBuffer(), path + ", a text in its pickle,");
  }

  private String readLine() {
    long start = position;
    while (nextByte() != '\n') {
      if (position - start > MAX_NAME) {
        throw damaged("a name has no end");
      }
    }
    byte[] line = bytes.asSlice(start, position - 1 - start).toArray(JAVA_BYTE);
    return new String(line, StandardCharsets.UTF_8);
  }

  private InvalidInputException refusedOpcode(int opcode) {
    String name = REFUSED.get(opcode);
    if (name == null) {
      return damaged("0x%02x is not an opcode that state dicts need".formatted(opcode));
    }
    // INST carries its class's name in the two lines that follow.
    String target = opcode == 'i' ? " on " + readLine() + "." + readLine() : "";
    return refused("makes an object (opcode " + name + target + ")");
  }

  private InvalidInputException refused(String what) {
    return TensorFile.invalid(
        path,
        "is a pickle that "
            + what
            + ", where only tensors are read: the file was refused and nothing in it was run");
  }

  private InvalidInputException damaged(String how) {
    return TensorFile.invalid(
        path,
        "holds a pickle that is cut short or damaged (%s, byte %d): fetch it again; nothing was run"
            .formatted(how, Math.min(position, bytes.byteSize())));
  }
}
