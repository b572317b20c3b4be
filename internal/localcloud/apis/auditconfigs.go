package apis

import (
	"fmt"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// auditConfigsPath is what a mask calls the audit logging of a policy.
const auditConfigsPath = "audit_configs"

// allServices stands for every API in an audit configuration.
const allServices = "allServices"

func checkAuditConfigs(v *violations, configs []*iampb.AuditConfig) {
	services := map[string]bool{}
	for i, c := range configs {
		field := fmt.Sprintf("policy.audit_configs[%d]", i)
		if _, known := knownAPIs[c.GetService()]; !known && c.GetService() != allServices {
			v.add(field+".service", "%q is not an API; give one such as run.googleapis.com, or allServices", c.GetService())
		}
		if services[c.GetService()] {
			v.add(field+".service", "%s is given twice", c.GetService())
		}
		services[c.GetService()] = true
		if len(c.GetAuditLogConfigs()) == 0 {
			v.add(field+".audit_log_configs", "At least one kind of log is required")
		}
		kinds := map[iampb.AuditLogConfig_LogType]bool{}
		for j, l := range c.GetAuditLogConfigs() {
			at := fmt.Sprintf("%s.audit_log_configs[%d].log_type", field, j)
			switch kind := l.GetLogType(); {
			case kind == iampb.AuditLogConfig_LOG_TYPE_UNSPECIFIED || !known(iampb.AuditLogConfig_LogType_name, int32(kind)):
				v.add(at, "%d is not a kind of log; there are ADMIN_READ, DATA_READ and DATA_WRITE", kind)
			case kinds[kind]:
				v.add(at, "%s is given twice", kind)
			}
			kinds[l.GetLogType()] = true
		}
	}
}
