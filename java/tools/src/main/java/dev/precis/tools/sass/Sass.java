package dev.precis.tools.sass;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes the table of the kernels' machine code, or compares it with the sources. {@code
 * scripts/sass --help} lists the options.
 */
public final class Sass {
  /** The architecture of the committed table. */
  static final String ARCHITECTURE = "sm_90a";

  static final String TABLE = "cuda-kernels/sass.tsv";
  static final String EXCEPTIONS = "cuda-kernels/sass-exceptions.tsv";

  private static final Pattern ARCHITECTURES = Pattern.compile("sm_(8[0-9]|90)(a?)");
  private static final Pattern VERSION = Pattern.compile("V([0-9.]+)");
  private static final Pattern ENTRY = Pattern.compile("Compiling entry function '(\\w+)'");
  private static final Pattern SPILLS =
      Pattern.compile("(\\d+) bytes spill stores, (\\d+) bytes spill loads");
  private static final Pattern REGISTERS = Pattern.compile("Used (\\d+) registers");

  private final Path root;
  private final Sources sources;
  private String nvcc = "nvcc";
  private String version = "";
  private String architecture = ARCHITECTURE;
  private int jobs = Runtime.getRuntime().availableProcessors();
  private boolean check;
  private boolean rules;
  private final List<String> only = new ArrayList<>();

  private Sass(Path root) {
    this.root = root;
    this.sources = new Sources(root);
  }

  /** A mistake of the caller: one sentence. */
  private static final class UsageException extends RuntimeException {
    private static final long serialVersionUID = 1;

    UsageException(String sentence) {
      super(sentence);
    }
  }

  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT);
    int status = 0;
    try {
      Sass sass = new Sass(Path.of("").toAbsolutePath());
      sass.parse(args);
      List<String> sentences = sass.run();
      sentences.forEach(sentence -> System.err.println("sass: " + sentence));
      status = sentences.isEmpty() ? 0 : 1;
    } catch (UsageException | IOException | IllegalArgumentException e) {
      System.err.println("sass: " + e.getMessage());
      status = 2;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      status = 1;
    }
    System.exit(status);
  }

  private void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      switch (args[i]) {
        case "--check" -> check = true;
        case "--rules" -> rules = true;
        case "--arch", "--jobs", "--nvcc" -> {
          if (i + 1 == args.length) {
            throw new UsageException(args[i] + " needs a value.");
          }
          option(args[i], args[++i]);
        }
        default -> {
          if (args[i].startsWith("-")) {
            throw new UsageException("'" + args[i] + "' is no option; see scripts/sass --help.");
          }
          only.add(args[i]);
        }
      }
    }
    if (check && rules) {
      throw new UsageException("--check and --rules are mutually exclusive: --check includes it.");
    }
    if (rules && (!only.isEmpty() || !architecture.equals(ARCHITECTURE))) {
      throw new UsageException("--rules reads the committed table alone: no sources, no --arch.");
    }
  }

  private void option(String name, String value) {
    switch (name) {
      case "--arch" -> {
        if (!ARCHITECTURES.matcher(value).matches()) {
          throw new UsageException(
              "--arch is '%s': sm_80 to sm_90a can be read, other GPUs encode their instructions differently."
                  .formatted(value));
        }
        architecture = value;
      }
      case "--jobs" -> {
        if (!value.matches("[1-9]\\d{0,2}")) {
          throw new UsageException("--jobs is '" + value + "': a number from 1 on is needed.");
        }
        jobs = Integer.parseInt(value);
      }
      default -> nvcc = value;
    }
  }

  private List<String> run() throws IOException, InterruptedException {
    if (rules) {
      return rules(root);
    }
    Matcher found = VERSION.matcher(output(List.of(nvcc, "--version")));
    version = found.find() ? found.group(1) : "unknown";
    String fingerprint = sources.fingerprint(sources.kernels(), ARCHITECTURE);
    List<Kernel> kernels = kernels(selected());
    if (!architecture.equals(ARCHITECTURE) || (!only.isEmpty() && !check)) {
      System.out.print(new Table(version, architecture, "", kernels).text());
      return List.of();
    }
    if (!check) {
      Sources now = new Sources(root);
      if (!now.fingerprint(now.kernels(), ARCHITECTURE).equals(fingerprint)) {
        throw new IOException("The sources have changed while they were compiled: run it again.");
      }
      write(root.resolve(TABLE), new Table(version, architecture, fingerprint, kernels).text());
      System.out.println(TABLE + ": " + kernels.size() + " kernels");
      return rules(root);
    }
    Table table = Table.parse(Files.readString(root.resolve(TABLE)));
    if (!table.nvcc().equals(version)) {
      System.err.printf(
          "sass: the table is of nvcc %s and this is %s, which may use registers differently.%n",
          table.nvcc(), version);
    }
    List<String> names = selected().stream().map(file -> file.getFileName().toString()).toList();
    List<Kernel> committed =
        table.kernels().stream().filter(kernel -> names.contains(kernel.source())).toList();
    List<String> sentences = new ArrayList<>(Rules.regressions(committed, kernels));
    if (only.isEmpty()) {
      sentences.addAll(rules(root));
    }
    return sentences;
  }

  /**
   * Returns a sentence for each rule that the committed table breaks, and one if it is older than
   * the sources. Needs no compiler.
   *
   * @param root the repository's folder
   * @throws IllegalArgumentException with a sentence if a file is damaged
   */
  static List<String> rules(Path root) throws IOException {
    Table table = Table.parse(Files.readString(root.resolve(TABLE)));
    Sources sources = new Sources(root);
    List<String> sentences = new ArrayList<>();
    if (!table.fingerprint().equals(sources.fingerprint(sources.kernels(), ARCHITECTURE))) {
      sentences.add(
          TABLE
              + " is older than the kernels: run scripts/sass where nvcc is, read what has changed,"
              + " and commit it.");
    }
    sentences.addAll(
        new Rules(Files.readString(root.resolve(EXCEPTIONS))).breaches(table.kernels()));
    return sentences;
  }

  private List<Path> selected() throws IOException {
    if (only.isEmpty()) {
      return sources.kernels();
    }
    List<Path> files = new ArrayList<>();
    for (String each : only) {
      String name = Path.of(each).getFileName().toString();
      Path file = root.resolve(Sources.FOLDERS.getFirst()).resolve(name);
      if (!Files.isRegularFile(file) || !name.endsWith(".cu")) {
        throw new UsageException("'" + each + "' is no source of " + Sources.FOLDERS.getFirst());
      }
      files.add(file);
    }
    return files;
  }

  // ---------------------------------------------------------------- compilation

  private List<Kernel> kernels(List<Path> files) throws IOException, InterruptedException {
    // The largest first, so that no core waits for one at the end.
    List<Path> order = new ArrayList<>(files);
    order.sort(Comparator.comparingLong((Path file) -> file.toFile().length()).reversed());
    List<Kernel> kernels = new ArrayList<>();
    try (ExecutorService compilers = Executors.newFixedThreadPool(jobs)) {
      List<Future<List<Kernel>>> results = new ArrayList<>();
      order.forEach(file -> results.add(compilers.submit(() -> kernelsOf(file))));
      try {
        for (Future<List<Kernel>> each : results) {
          kernels.addAll(each.get());
        }
      } catch (ExecutionException e) {
        compilers.shutdownNow();
        throw new IOException(e.getCause().getMessage(), e.getCause());
      }
    }
    return kernels;
  }

  private List<Kernel> kernelsOf(Path source) throws IOException, InterruptedException {
    String file = source.getFileName().toString();
    String stem = file.substring(0, file.length() - ".cu".length());
    Path folder = Files.createDirectories(root.resolve("build/sass").resolve(architecture));
    Path cubin = folder.resolve(stem + ".cubin");
    Path log = folder.resolve(stem + ".log");
    Path stamp = folder.resolve(stem + ".stamp");
    String state =
        version + " " + new Sources(root).fingerprint(List.of(source), architecture) + "\n";
    if (!Files.exists(stamp) || !Files.readString(stamp).equals(state)) {
      Files.deleteIfExists(stamp);
      compile(source, cubin, log);
      write(stamp, state);
    }
    Map<String, Kernel.Resources> resources = resources(Files.readString(log));
    Map<String, Instruction[]> codes = Cubin.kernels(cubin.toString(), Files.readAllBytes(cubin));
    codes.keySet().retainAll(resources.keySet()); // the others are functions that kernels call
    Matcher capability = ARCHITECTURES.matcher(architecture);
    if (!capability.matches()) {
      throw new IllegalStateException(architecture);
    }
    Map<String, String> names = demangled(codes.keySet());
    List<Kernel> kernels = new ArrayList<>();
    for (Map.Entry<String, Instruction[]> each : codes.entrySet()) {
      kernels.add(
          Kernel.of(
              file,
              Kernel.shortName(names.get(each.getKey())),
              resources.get(each.getKey()),
              each.getValue(),
              Integer.parseInt(capability.group(1))));
    }
    return kernels;
  }

  private void compile(Path source, Path cubin, Path log) throws IOException, InterruptedException {
    String number = architecture.substring("sm_".length());
    List<String> command = new ArrayList<>(List.of(nvcc));
    command.addAll(Sources.FLAGS);
    Sources.FOLDERS.forEach(folder -> command.add("-I" + root.resolve(folder)));
    command.add("-gencode=arch=compute_" + number + ",code=sm_" + number);
    command.addAll(List.of("-Xptxas=-v", "-cubin", source.toString(), "-o", cubin.toString()));
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      if (process.waitFor() != 0) {
        throw new IOException(
            "nvcc cannot compile %s:%n%s".formatted(source, Files.readString(log).strip()));
      }
    } finally {
      process.destroy();
    }
  }

  /** Returns what {@code ptxas -v} says about each kernel, under its mangled name. */
  static Map<String, Kernel.Resources> resources(String log) {
    Map<String, Kernel.Resources> resources = new TreeMap<>();
    String kernel = "";
    for (String line : log.lines().toList()) {
      Matcher entry = ENTRY.matcher(line);
      Matcher spills = SPILLS.matcher(line);
      Matcher registers = REGISTERS.matcher(line);
      if (entry.find()) {
        kernel = entry.group(1);
        resources.put(kernel, new Kernel.Resources(0, 0, 0));
      }
      // Functions that a kernel calls follow it, and may spill too.
      Kernel.Resources known = resources.getOrDefault(kernel, new Kernel.Resources(0, 0, 0));
      if (spills.find()) {
        resources.put(
            kernel,
            new Kernel.Resources(
                known.registers(),
                known.spillStores() + Integer.parseInt(spills.group(1)),
                known.spillLoads() + Integer.parseInt(spills.group(2))));
      } else if (registers.find()) {
        resources.put(
            kernel,
            new Kernel.Resources(
                Integer.parseInt(registers.group(1)), known.spillStores(), known.spillLoads()));
      }
    }
    resources.remove("");
    return resources;
  }

  private static Map<String, String> demangled(Iterable<String> names)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("c++filt"));
    names.forEach(command::add);
    Map<String, String> demangled = new TreeMap<>();
    if (command.size() > 1) {
      List<String> lines = output(command).lines().toList();
      for (int i = 1; i < command.size(); i++) {
        demangled.put(command.get(i), lines.get(i - 1));
      }
    }
    return demangled;
  }

  private static String output(List<String> command) throws IOException, InterruptedException {
    Process process;
    try {
      process = new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      throw new UsageException(
          "'%s' does not run: install %s."
              .formatted(
                  command.getFirst(),
                  command.getFirst().equals("c++filt") ? "binutils" : "the CUDA toolkit"));
    }
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new UsageException("'%s' fails: %s".formatted(String.join(" ", command), text.strip()));
    }
    return text;
  }

  private static void write(Path file, String text) throws IOException {
    Path part = file.resolveSibling(file.getFileName() + ".part");
    Files.writeString(part, text);
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
