package dev.precis.tools.sass;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The kernels' sources, the headers of ours that they include, and a fingerprint of them. Comments
 * and the number of blanks are left out of it, because machine code does not depend on them, and so
 * are the headers that list all operations: a new one changes no other kernel.
 */
final class Sources {
  /**
   * The flags of the build that decide on the machine code, as in cuda-kernels/gpu/CMakeLists.txt.
   */
  static final List<String> FLAGS = List.of("-std=c++20", "-O3");

  /** The folders that nvcc looks for headers in, in that order. */
  static final List<String> FOLDERS =
      List.of("cuda-kernels/src", "cuda-kernels/runtime", "native/include", "native/src");

  private static final Set<String> LISTS = Set.of("precis.h", "operations.h");

  private static final Pattern INCLUDE = Pattern.compile("(?m)^\\s*#\\s*include\\s*\"([^\"]+)\"");
  // A string, a character, a comment of either kind, or blanks.
  private static final Pattern TOKEN =
      Pattern.compile(
          "\"(?:\\\\.|[^\"\\\\\n"
              + "])*\"|'(?:\\\\.|[^'\\\\\n"
              + "])*'|(//[^\n"
              + "]*|/\\*(?s:.*?)\\*/|[ \t\r"
              + "]+)");
  private static final Pattern LINES = Pattern.compile("\\s*\n\\s*");

  private final Path root;
  private final Map<Path, String> texts = new HashMap<>();

  /**
   * @param root the repository's folder
   */
  Sources(Path root) {
    this.root = root;
  }

  /** Returns the kernels' sources in the order of their names. */
  List<Path> kernels() throws IOException {
    try (Stream<Path> files = Files.list(root.resolve(FOLDERS.getFirst()))) {
      return files.filter(file -> file.toString().endsWith(".cu")).sorted().toList();
    }
  }

  /** Returns the SHA-256 of files and of all headers that they include, in hexadecimal. */
  String fingerprint(List<Path> files, String architecture) throws IOException {
    Map<String, String> all = new TreeMap<>();
    for (Path file : files) {
      collect(file, all);
    }
    MessageDigest digest = sha256();
    add(digest, architecture + " " + String.join(" ", FLAGS));
    for (Map.Entry<String, String> each : all.entrySet()) {
      add(digest, each.getKey());
      add(digest, each.getValue());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private void collect(Path file, Map<String, String> all) throws IOException {
    String name = root.relativize(file).toString();
    if (all.containsKey(name)) {
      return;
    }
    String text = texts.get(file);
    if (text == null) {
      text = withoutComments(Files.readString(file));
      texts.put(file, text);
    }
    all.put(name, text);
    Matcher includes = INCLUDE.matcher(text);
    while (includes.find()) {
      Path found = find(file, includes.group(1));
      if (found != null && !LISTS.contains(found.getFileName().toString())) {
        collect(found, all);
      }
    }
  }

  private Path find(Path from, String header) {
    Path beside = from.resolveSibling(header).normalize();
    if (Files.exists(beside)) {
      return beside;
    }
    for (String folder : FOLDERS) {
      Path file = root.resolve(folder).resolve(header).normalize();
      if (Files.exists(file)) {
        return file;
      }
    }
    return null;
  }

  /** Returns C++ without comments, with one blank for several and without empty lines. */
  static String withoutComments(String text) {
    String joined =
        TOKEN
            .matcher(text)
            .replaceAll(
                match -> match.group(1) == null ? Matcher.quoteReplacement(match.group()) : " ");
    return LINES.matcher(joined).replaceAll("\n").strip();
  }

  private static void add(MessageDigest digest, String part) {
    digest.update(part.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
