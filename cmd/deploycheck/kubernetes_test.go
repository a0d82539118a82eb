package deploycheck

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A ScaledObject has the fields of KEDA's type that we use: importing KEDA's package would import
// all of KEDA.
type ScaledObject struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ScaleTargetRef  struct{ Name string } `json:"scaleTargetRef"`
		MinReplicaCount *int32                `json:"minReplicaCount"`
		MaxReplicaCount *int32                `json:"maxReplicaCount"`
		PollingInterval *int32                `json:"pollingInterval"`
		Fallback        struct {
			FailureThreshold int32 `json:"failureThreshold"`
			Replicas         int32 `json:"replicas"`
		} `json:"fallback"`
		Advanced struct {
			HorizontalPodAutoscalerConfig struct {
				Behavior autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
		Triggers []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// A Kustomization has the fields of Kustomize's type that we use.
type Kustomization struct {
	meta.TypeMeta      `json:",inline"`
	Namespace          string
	Resources          []string
	ConfigMapGenerator []struct {
		Name  string
		Files []string
	} `json:"configMapGenerator"`
	Images []struct{ Name, NewName, NewTag string }
}

const deploy = "../../deploy"

// manifests returns the documents of kubernetes/, by kind and name. An unknown or repeated field
// is an error.
func manifests(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deploy, "kubernetes", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	all := map[string]any{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(data, []byte("\n---\n")) {
			var head meta.PartialObjectMetadata
			if err := yaml.Unmarshal(doc, &head); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			known := map[string]any{
				"v1 Service": &core.Service{}, "apps/v1 StatefulSet": &apps.StatefulSet{}, "apps/v1 Deployment": &apps.Deployment{},
				"batch/v1 Job": &batch.Job{}, "policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{},
				"networking.k8s.io/v1 NetworkPolicy": &networking.NetworkPolicy{}, "keda.sh/v1alpha1 ScaledObject": &ScaledObject{},
			}
			into := known[head.APIVersion+" "+head.Kind]
			if into == nil {
				t.Fatalf("%s: %s of %s is not known", file, head.Kind, head.APIVersion)
			}
			if err := yaml.UnmarshalStrict(doc, into); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			all[head.Kind+" "+head.Name] = into
		}
	}
	return all
}

func TestManifests(t *testing.T) {
	all := manifests(t)
	nats := all["StatefulSet nats"].(*apps.StatefulSet)
	if *nats.Spec.Replicas != 3 || nats.Spec.Ordinals.Start != 1 {
		t.Errorf("%d servers from nats-%d on, want 3 from nats-1 on", *nats.Spec.Replicas, nats.Spec.Ordinals.Start)
	}
	executor := all["Deployment executor"].(*apps.Deployment)
	for name, c := range map[string]struct {
		pod  core.PodSpec
		long time.Duration
	}{
		"nats":     {nats.Spec.Template.Spec, lameDuck},
		"executor": {executor.Spec.Template.Spec, drain},
		"setup":    {all["Job setup"].(*batch.Job).Spec.Template.Spec, 0},
	} {
		if s := c.pod.TerminationGracePeriodSeconds; c.long > 0 && time.Duration(*s)*time.Second <= c.long {
			t.Errorf("%s is killed after %ds, want more than %s", name, *s, c.long)
		}
		if !*c.pod.SecurityContext.RunAsNonRoot {
			t.Errorf("%s runs as root", name)
		}
		volumes := map[string]bool{}
		for _, v := range c.pod.Volumes {
			volumes[v.Name] = true
		}
		for _, v := range nats.Spec.VolumeClaimTemplates {
			volumes[v.Name] = true
		}
		for _, one := range c.pod.Containers {
			if s := one.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s may raise its rights, or write to its image", name)
			}
			for _, m := range one.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s mounts %s, which is no volume", name, m.Name)
				}
			}
		}
	}
	scaled := all["ScaledObject executor"].(*ScaledObject)
	if got := scaled.Spec.ScaleTargetRef.Name; got != executor.Name {
		t.Errorf("it scales %s, want %s", got, executor.Name)
	}
	if m := scaled.Spec.Triggers[0].Metadata; m["account"] != "DURABLE" || m["stream"] != "durable-ready" || m["consumer"] != "queue-default" {
		t.Errorf("it scales by %v, want the consumer queue-default of durable-ready", m)
	}
	for budget, labels := range map[string]map[string]string{
		"nats": nats.Spec.Template.Labels, "executor": executor.Spec.Template.Labels,
	} {
		p := all["PodDisruptionBudget "+budget].(*policy.PodDisruptionBudget)
		selector, err := meta.LabelSelectorAsSelector(p.Spec.Selector)
		if err != nil || !selector.Matches(set(labels)) {
			t.Errorf("the budget %s is for %v, which %v is not, %v", budget, selector, labels, err)
		}
	}
}

// A set holds labels, in the form that selectors accept.
type set map[string]string

func (s set) Has(key string) bool   { _, ok := s[key]; return ok }
func (s set) Get(key string) string { return s[key] }
func (s set) Lookup(key string) (value string, exists bool) {
	value, exists = s[key]
	return value, exists
}

func TestKustomizationNamesFilesThatAreThere(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(deploy, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var k Kustomization
	if err := yaml.UnmarshalStrict(data, &k); err != nil {
		t.Fatal(err)
	}
	for _, file := range append(k.Resources, k.ConfigMapGenerator[0].Files...) {
		if _, err := os.Stat(filepath.Join(deploy, file)); err != nil {
			t.Error(err)
		}
	}
}
