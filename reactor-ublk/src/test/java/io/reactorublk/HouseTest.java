package io.reactorublk;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import io.reactorublk.uring.EventLoop;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The rules of the house that a compiler does not know. */
class HouseTest {

    private static final String HOUSE = "io.reactorublk";
    private static final String ABI = HOUSE + ".abi";
    /** The other side of the door: it is the driver. */
    private static final String MEMORY = HOUSE + ".memory";
    private static final String TARGETS = HOUSE + ".target";
    private static final String METERS = HOUSE + ".micrometer";

    private static final Set<String> API = Set.of("BlockQueue", "BlockRequest", "BlockTarget", "Completion", "ControlListener", "DataMode",
            "DeviceParameters", "DeviceStatus", "Feature", "Operation", "QueueListener", "Recovery", "SharedMemory", "Supervisor",
            "UblkControl", "UblkDevice", "UblkServer");
    private static final Set<String> TARGET_API = Set.of("Fault", "FileTarget", "Filters", "NullTarget", "RamTarget",
            "StripeTarget");

    /** Each speaks with the driver about one thing. */
    private static final Set<String> SPEAK_WITH_THE_DRIVER = Set.of("BatchCommands", "BlockRequest", "CharDeviceBuffers", "CommitBuffer",
            "ControlDevice", "DataMode", "DeviceInfo", "DeviceParameters", "DeviceStatus", "Feature", "IoDescriptors", "Operation",
            "SharedBuffers", "UblkServer");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .withImportOption(location -> !location.contains("/uring/") && !location.contains("reactor-uring"))
            .importPackages(HOUSE);

    private static final DescribedPredicate<JavaAccess<?>> BLOCKING = describe("a method that blocks",
            access -> isBlocking(access.getTarget()));
    private static final DescribedPredicate<JavaAccess<?>> REINTERPRET = describe("a restricted method",
            access -> access.getTarget().getName().equals("reinterpret")
                    && access.getTarget().getOwner().isAssignableTo(MemorySegment.class));

    private static boolean isBlocking(AccessTarget target) {
        JavaClass owner = target.getOwner();
        return switch (target.getName()) {
            case "block", "blockOptional", "blockFirst", "blockLast", "toIterable", "toStream" ->
                    owner.isAssignableTo(Mono.class) || owner.isAssignableTo(Flux.class);
            case "sleep", "join" -> owner.isAssignableTo(Thread.class) || owner.isAssignableTo(CompletableFuture.class);
            case "get" -> owner.isAssignableTo(Future.class);
            case "wait" -> owner.isEquivalentTo(Object.class);
            case "await", "awaitNanos" -> owner.isAssignableTo(CountDownLatch.class)
                    || owner.isAssignableTo(Condition.class);
            case "lock", "lockInterruptibly" -> owner.isAssignableTo(Lock.class);
            case "park", "parkNanos", "parkUntil" -> owner.isEquivalentTo(LockSupport.class);
            case "put", "take" -> owner.isAssignableTo(BlockingQueue.class);
            default -> false;
        };
    }

    private static DescribedPredicate<JavaClass> in(String packageName, Set<String> names) {
        return describe("are among " + names, type -> type.getPackageName().equals(packageName)
                && names.contains(outermost(type)));
    }

    private static String outermost(JavaClass type) {
        String name = type.getName().substring(type.getPackageName().length() + 1);
        int dollar = name.indexOf('$');
        return dollar < 0 ? name : name.substring(0, dollar);
    }

    private static Set<String> publicIn(String packageName) {
        return CLASSES.stream()
                .filter(type -> type.getPackageName().equals(packageName) && type.getModifiers()
                        .contains(JavaModifier.PUBLIC))
                .filter(type -> type.getEnclosingClass().isEmpty())
                .map(HouseTest::outermost)
                .collect(java.util.stream.Collectors.toSet());
    }

    @Test
    void packagesHaveNoCycles() {
        slices().assignedFrom(new SliceAssignment() {
            @Override
            public SliceIdentifier getIdentifierOf(JavaClass type) {
                return SliceIdentifier.of(type.getPackageName());
            }

            @Override
            public String getDescription() {
                return "packages";
            }
        }).should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void whatIsPublicIsTheApi() {
        assertThat(publicIn(HOUSE)).containsExactlyInAnyOrderElementsOf(API);
    }

    @Test
    void theTargetsAreWhatIsPublicBesideIt() {
        assertThat(publicIn(TARGETS)).containsExactlyInAnyOrderElementsOf(TARGET_API);
    }

    @Test
    void whoListensHasMetersAndTheirNames() {
        assertThat(publicIn(METERS)).containsExactlyInAnyOrder("UblkMeter", "UblkMetrics");
    }

    @Test
    void onlyTheMetersNeedMicrometer() {
        noClasses().that().resideOutsideOfPackage(METERS)
                .should().dependOnClassesThat().resideInAnyPackage(METERS, "io.micrometer..").check(CLASSES);
        assertThat(CLASSES.get(METERS + ".UblkMetrics").getDirectDependenciesFromSelf()).as("the rule sees what it forbids")
                .anyMatch(dependency -> dependency.getTargetClass().getPackageName().startsWith("io.micrometer."));
    }

    @Test
    void theLivingFloorNamesNothingAboveIt() {
        noClasses().that().resideInAPackage(HOUSE).should().dependOnClassesThat().resideInAnyPackage(TARGETS + "..",
                HOUSE + ".memory..").check(CLASSES);
    }

    @Test
    void fewSpeakWithTheDriver() {
        noClasses().that(DescribedPredicate.not(in(HOUSE, SPEAK_WITH_THE_DRIVER)))
                .and().resideOutsideOfPackages(ABI, MEMORY + "..")
                .should().dependOnClassesThat().resideInAPackage(ABI).check(CLASSES);
    }

    @Test
    void targetsAndMetersUseThePublicApiOnly() {
        noClasses().that().resideInAnyPackage(TARGETS, METERS).should().dependOnClassesThat(
                describe("are not public", type -> type.getPackageName().equals(HOUSE)
                        && !API.contains(outermost(type.getBaseComponentType())))).check(CLASSES);
        noClasses().that().resideInAnyPackage(TARGETS, METERS).should().dependOnClassesThat().resideInAPackage("..abi..")
                .check(CLASSES);
    }

    @Test
    void nothingBlocks() {
        noClasses().that().resideOutsideOfPackage(MEMORY + "..")       // there, who waits turns the loops himself
                .should().callMethodWhere(describe("a method that blocks", call -> BLOCKING.test(call))).check(CLASSES);
        JavaClasses tests = new ClassFileImporter().importClasses(LinuxDevices.class);
        assertThat(tests.get(LinuxDevices.class).getAccessesFromSelf()).as("the rule sees what it forbids")
                .anyMatch(BLOCKING);
    }

    @Test
    void nobodyHereCallsWhatCanCrash() {
        noClasses().that().resideOutsideOfPackage(ABI).should().accessTargetWhere(REINTERPRET).check(CLASSES);
    }

    @Test
    void onlyALifeItsQueuesAndTheControlPlaneMakeLoops() {
        noClasses().that().resideOutsideOfPackage(MEMORY + "..")
                .and().doNotHaveSimpleName("UblkControl").and().doNotHaveSimpleName("DeviceLifecycle").and().haveNameNotMatching(".*DeviceQueues\\$.*")
                .should().callMethodWhere(describe("EventLoop.start", call -> call.getTarget().getName().equals("start")
                        && call.getTarget().getOwner().isEquivalentTo(EventLoop.class))).check(CLASSES);
    }

    @Test
    void theRulesSeeTheHouse() {
        assertThat(CLASSES.stream().map(JavaClass::getPackageName)).contains(HOUSE, ABI, TARGETS)
                .noneMatch(name -> name.startsWith(HOUSE + ".uring"));
    }
}
