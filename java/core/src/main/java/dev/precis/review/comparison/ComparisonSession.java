package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.review.Journal;
import dev.precis.review.comparison.AnnotatorState.Done;
import dev.precis.review.comparison.ComparisonPair.Key;
import dev.precis.review.comparison.TaskIds.Shown;
import dev.precis.review.comparison.TaskIds.Task;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A project that people work on: hands out comparisons and records answers. One process has a
 * project open at a time. An answer is on the disk when {@link #choose} returns. Thread-safe.
 */
public final class ComparisonSession implements AutoCloseable {
  private static final int PACE = 50;
  private static final double HOUR = 3600;

  private final ComparisonProject project;
  private final List<ComparisonPair> pairs;
  private final PairPlan plan;
  private final TaskIds ids;
  private final TaskScheduler scheduler;
  private final Journal journal;

  /**
   * Progress of the work.
   *
   * @param done answers of this annotator, repeats included
   * @param have answers of all annotators, repeats not counted
   * @param need answers that the project needs
   * @param perHour the pace of the newest answers; 0 if it is not known
   */
  public record Progress(int done, long have, long need, double perHour) {}

  /** Thrown if a task is no more to be answered, or was answered otherwise. */
  public static final class StaleTaskException extends InvalidInputException {
    private static final long serialVersionUID = 1;

    private StaleTaskException(String sentence) {
      super(sentence);
    }
  }

  private ComparisonSession(ComparisonProject project, Journal journal) {
    this.project = project;
    this.journal = journal;
    pairs = project.pairs();
    plan = new PairPlan(project.settings(), pairs);
    ids = new TaskIds(project.secret(), pairs);
    scheduler = new TaskScheduler(project.settings(), plan, pairs.size());
    Map<Key, Integer> index = new HashMap<>();
    for (int i = 0; i < pairs.size(); i++) {
      index.put(pairs.get(i).key(), i);
    }
    for (RecordedChoice recorded :
        ChoiceLog.choices(ChoiceLog.file(project.folder()), journal.entries())) {
      Integer pair = index.get(recorded.choice().key());
      if (pair == null) {
        project.itemOf(recorded); // says what is wrong
        continue;
      }
      scheduler.add(
          recorded.choice().annotator(), done(recorded.number(), pair, recorded.choice()));
    }
  }

  private static Done done(long number, int pair, Choice choice) {
    return new Done(
        number,
        new Task(pair, choice.repeat()),
        choice.first() > choice.second(),
        choice.judgment().preference() == Preference.SKIP,
        choice.judgment().seconds());
  }

  /**
   * Opens a project.
   *
   * @throws InvalidInputException if another process has it open, or it was changed by other means
   */
  public static ComparisonSession open(ComparisonProject project) {
    Journal journal = Journal.open(ChoiceLog.file(project.folder()));
    try {
      return new ComparisonSession(project, journal);
    } catch (RuntimeException | Error e) {
      journal.close();
      throw e;
    }
  }

  /** Returns the project. */
  public ComparisonProject project() {
    return project;
  }

  /**
   * Returns the comparisons that come next, the very next one first. The same ones come until they
   * are answered.
   *
   * @param count how many at most; fewer come at the end of the work
   */
  public synchronized List<ComparisonTask> next(String annotator, int count) {
    return scheduler.next(annotator, count).stream().map(task -> task(annotator, task)).toList();
  }

  private ComparisonTask task(String annotator, Task task) {
    ComparisonPair pair = pairs.get(task.pair());
    boolean swapped = swapped(annotator, task);
    String a = pair.item().texts().get(pair.a()).text();
    String b = pair.item().texts().get(pair.b()).text();
    return new ComparisonTask(
        ids.id(annotator, new Shown(task, swapped)),
        pair.item().dialogue(),
        swapped ? b : a,
        swapped ? a : b);
  }

  /** Returns whether text b stands first: a repeat has the places of the first time changed. */
  private boolean swapped(String annotator, Task task) {
    Task first = new Task(task.pair(), false);
    AnnotatorState state = scheduler.of(annotator);
    boolean swapped =
        task.repeat() && state.has(first)
            ? state.of(first).swapped()
            : plan.swapped(annotator, task.pair());
    return swapped ^ task.repeat();
  }

  /**
   * Records an answer. The same answer to the same task once more changes nothing, so that it can
   * be sent again where nobody knows whether it has arrived.
   *
   * @return the number of its entry
   * @throws StaleTaskException if the annotator has no such task, or answered it otherwise
   */
  public synchronized long choose(String annotator, String taskId, Judgment judgment) {
    Shown shown = ids.task(annotator, taskId);
    if (shown == null) {
      throw new StaleTaskException("This comparison does not exist any more: take the next one");
    }
    Task task = shown.task();
    Choice choice = choice(annotator, shown, judgment);
    AnnotatorState state = scheduler.of(annotator);
    if (state.has(task)) {
      return earlier(state, task, choice);
    }
    long number = journal.append(choice.json()).number();
    scheduler.add(annotator, done(number, task.pair(), choice));
    return number;
  }

  private long earlier(AnnotatorState state, Task task, Choice choice) {
    Done earlier = state.of(task);
    Journal.Entry entry = journal.entries().get((int) earlier.number() - 1);
    Choice recorded = Choice.of(new JsonObject("entry " + entry.number(), entry.content()));
    // Not the probability, which another reward model may have changed meanwhile.
    if (recorded.first() != choice.first() || !recorded.judgment().equals(choice.judgment())) {
      throw new StaleTaskException(
          "You have answered this comparison before: undo that answer to change it");
    }
    return earlier.number();
  }

  private Choice choice(String annotator, Shown shown, Judgment judgment) {
    Task task = shown.task();
    ComparisonPair pair = pairs.get(task.pair());
    boolean swapped = shown.swapped();
    PairSelection selection =
        task.repeat()
            ? PairSelection.REPEAT
            : pair.item().gold() ? PairSelection.GOLD : project.settings().selection();
    Double probability = pair.probability();
    return new Choice(
        annotator,
        pair.item().id(),
        swapped ? pair.b() : pair.a(),
        swapped ? pair.a() : pair.b(),
        task.repeat(),
        selection,
        probability == null || !swapped ? probability : (Double) (1 - probability),
        judgment);
  }

  /**
   * Takes an annotator's last answer back: an entry says so. Its comparison is the next one again.
   *
   * @return the number of the entry that was taken back; empty if there is none
   */
  public synchronized Optional<Long> undo(String annotator) {
    AnnotatorState state = scheduler.of(annotator);
    if (state.done().isEmpty()) {
      return Optional.empty();
    }
    long number = state.done().getLast().number();
    journal.append(ChoiceLog.undo(annotator, number));
    scheduler.undo(annotator);
    return Optional.of(number);
  }

  /** Returns the progress of the work. */
  public synchronized Progress progress(String annotator) {
    AnnotatorState state = scheduler.of(annotator);
    double seconds = state.medianSeconds(PACE);
    long[] counts = scheduler.progress();
    return new Progress(
        state.done().size(), counts[0], counts[1], seconds > 0 ? HOUR / seconds : 0);
  }

  /** Returns the progress of all annotators together; their pace is not known. */
  public synchronized Progress progress() {
    long[] counts = scheduler.progress();
    return new Progress(scheduler.done(), counts[0], counts[1], 0);
  }

  /** Returns the number of entries of the journal, which grows with every answer and undo. */
  public int entries() {
    return journal.entries().size();
  }

  /** Closes the journal. */
  @Override
  public void close() {
    journal.close();
  }
}
