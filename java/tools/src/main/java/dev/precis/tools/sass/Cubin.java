package dev.precis.tools.sass;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Reads the machine code out of nvcc's {@code -cubin} output, a 64-bit ELF file. */
final class Cubin {
  private static final int MAGIC = 0x464c457f;
  private static final String CODE = ".text.";

  private Cubin() {}

  /**
   * Returns the code of each kernel under its mangled name, in the file's order.
   *
   * @param name of the file, for the message
   * @throws IOException if it is not a cubin
   */
  static Map<String, Instruction[]> kernels(String name, byte[] file) throws IOException {
    ByteBuffer elf = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    try {
      if (elf.getInt(0) != MAGIC || elf.get(4) != 2) {
        throw new IOException(name + " is not a 64-bit ELF file, so not what nvcc -cubin writes.");
      }
      int sections = Math.toIntExact(elf.getLong(0x28));
      int size = elf.getShort(0x3a);
      int count = elf.getShort(0x3c);
      int names = offset(elf, sections + size * elf.getShort(0x3e));
      Map<String, Instruction[]> kernels = new LinkedHashMap<>();
      for (int i = 0; i < count; i++) {
        int header = sections + size * i;
        String section = text(file, names + elf.getInt(header));
        if (section.startsWith(CODE)) {
          int length = Math.toIntExact(elf.getLong(header + 0x20));
          kernels.put(section.substring(CODE.length()), code(elf, offset(elf, header), length));
        }
      }
      return kernels;
    } catch (IndexOutOfBoundsException | ArithmeticException e) {
      throw new IOException(name + " is cut off or damaged: delete it.", e);
    }
  }

  private static int offset(ByteBuffer elf, int header) {
    return Math.toIntExact(elf.getLong(header + 0x18));
  }

  private static String text(byte[] file, int begin) {
    int end = begin;
    while (file[end] != 0) {
      end++;
    }
    return new String(file, begin, end - begin, StandardCharsets.UTF_8);
  }

  private static Instruction[] code(ByteBuffer elf, int begin, int length) {
    Instruction[] code = new Instruction[length / Instruction.BYTES];
    for (int i = 0; i < code.length; i++) {
      int at = begin + i * Instruction.BYTES;
      code[i] = new Instruction(elf.getLong(at), elf.getLong(at + 8));
    }
    return code;
  }
}
